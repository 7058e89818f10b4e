import { type AskOptions, type Credentials, type CredentialsProvider, LovageError, askCredentials } from '@lovage/core';
import { Client } from 'pg';

/** What pg keeps of the user, and what tells that `end` was called meanwhile. */
interface Inner {
  readonly connectionParameters: { user: string };
  user?: string;
  password?: string | null;
  readonly _ending: boolean;
}

/** pg's client, that asks for user and password each time it connects; null: pg's own, which takes them from the URL. */
export function clientWith(provider: CredentialsProvider | null, options: AskOptions): typeof Client {
  if (provider === null) return Client;
  return class AskingClient extends Client {
    override connect(): Promise<this>;
    override connect(callback: (error: Error) => void): void;
    override connect(callback?: (error: Error) => void): Promise<this> | void {
      const connected = askCredentials(provider, options).then((given) => this.#connectAs(given));
      if (callback === undefined) return connected;
      connected.then(() => callback(null as never), callback);
    }

    async #connectAs({ username, password }: Credentials): Promise<this> {
      const inner = this as unknown as Inner;
      if (inner._ending) throw new LovageError('LOVAGE_STOPPED', 'the connection was ended before it was made');
      // pg sends the one and proves the other.
      inner.connectionParameters.user = username;
      inner.user = username;
      inner.password = password;
      await super.connect();
      return this;
    }
  };
}
