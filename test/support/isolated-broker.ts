import { randomUUID } from 'node:crypto';

/** A virtual host of the shared RabbitMQ that no other test sees. */
export interface IsolatedBroker {
  /** amqp://… with the virtual host in it. */
  readonly url: string;
  readonly vhost: string;
  /** Makes a user of the whole server who may do anything in this virtual host, or changes his password. */
  addUser(name: string, password: string): Promise<void>;
  /** Deletes a user; the broker closes his connections. */
  dropUser(name: string): Promise<void>;
  /** Deletes the virtual host: its queues and messages with it; connections to it are closed by the broker. */
  drop(): Promise<void>;
}

/**
 * Makes a virtual host on the broker of LOVAGE_BROKER, through its management API: SERVICES_BROKER_API
 * (http://user:password@host:port), by default port 15672 of the same host with the same credentials.
 */
export async function isolatedBroker(): Promise<IsolatedBroker> {
  const broker = new URL(required('LOVAGE_BROKER'));
  const api = new URL(process.env['SERVICES_BROKER_API'] ?? `http://${broker.hostname}:15672`);
  const user = decodeURIComponent(broker.username || 'guest');
  const password = decodeURIComponent(broker.password || 'guest');
  const vhost = `test-${randomUUID()}`;
  const call = async (method: 'PUT' | 'DELETE', path: string, body?: object): Promise<void> => {
    const credentials = api.username ? `${api.username}:${api.password}` : `${user}:${password}`;
    const response = await fetch(`${api.origin}/api/${path}`, {
      method,
      headers: {
        authorization: `Basic ${Buffer.from(credentials).toString('base64')}`,
        'content-type': 'application/json',
      },
      ...(body && { body: JSON.stringify(body) }),
    });
    if (!response.ok) {
      throw new Error(
        `expected RabbitMQ's management API at ${api.host} to take ${method} ${path}, got ${response.status}. ` +
          'Set SERVICES_BROKER_API to http://user:password@host:port of a user who may make virtual hosts.',
      );
    }
  };
  await call('PUT', `vhosts/${vhost}`);
  const permit = (name: string) =>
    call('PUT', `permissions/${vhost}/${encodeURIComponent(name)}`, { configure: '.*', write: '.*', read: '.*' });
  await permit(user);
  broker.pathname = `/${vhost}`;
  return {
    url: broker.href,
    vhost,
    addUser: async (name, secret) => {
      await call('PUT', `users/${name}`, { password: secret, tags: '' });
      await permit(name);
    },
    dropUser: (name) => call('DELETE', `users/${name}`),
    drop: () => call('DELETE', `vhosts/${vhost}`),
  };
}

export function required(name: 'LOVAGE_BROKER' | 'LOVAGE_RESULTS'): string {
  const value = process.env[name];
  if (value) return value;
  throw new Error(`expected ${name} to be set: run this through \`npm test\` or \`npm run services -- npx jest …\``);
}
