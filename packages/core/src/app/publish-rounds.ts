import type { LovageError } from '../errors/lovage-error.js';
import type { Message } from '../message/message.js';
import { publishDeclared } from '../transport/publish-declared.js';
import type { SenderHost } from './sender-host.js';

/** Messages of one queue that were sent in one turn of the event loop. */
export interface PublishRound {
  readonly messages: readonly Message[];
  /** One a message, in order, as `Transport.publish`; rejects as `Transport.declare` does. */
  readonly outcomes: Promise<readonly (LovageError | null)[]>;
}

/** A call is answered once its whole round is, so that more would keep a caller from sending the next ones meanwhile. Measured from 8 to 256: ADR 31. */
const LARGEST_ROUND = 32;

/**
 * Sends lone messages in rounds: those that are sent in one turn of the event loop to one queue share a declaration, a publish and a promise, which cost a
 * lone message more than its encoding. A queue whose broker does not answer keeps those of no other waiting.
 */
export class PublishRounds {
  readonly #host: Pick<SenderHost, 'routing' | 'transport'>;
  /** By queue, those that take messages. */
  readonly #open = new Map<string, { readonly messages: Message[]; readonly outcomes: PublishRound['outcomes'] }>();

  constructor(host: Pick<SenderHost, 'routing' | 'transport'>) {
    this.#host = host;
  }

  /** The round that sends this message: it is the round's last one for now. */
  add(message: Message): PublishRound {
    const { queue } = message;
    const open = this.#open.get(queue);
    if (open !== undefined && open.messages.length < LARGEST_ROUND) {
      open.messages.push(message);
      return open;
    }
    const messages = [message];
    const round = { messages, outcomes: this.#send(queue, messages) };
    this.#open.set(queue, round);
    return round;
  }

  async #send(queue: string, messages: readonly Message[]): Promise<readonly (LovageError | null)[]> {
    await new Promise<void>((resolve) => process.nextTick(resolve));
    if (this.#open.get(queue)?.messages === messages) this.#open.delete(queue);
    const { queueSpec } = await this.#host.routing();
    return publishDeclared(await this.#host.transport(), queueSpec, messages);
  }
}
