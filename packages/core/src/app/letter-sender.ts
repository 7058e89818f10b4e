import { draftOf, pendingOf } from '../execution/completion-of.js';
import type { Message } from '../message/message.js';
import type { MessageRules } from '../message/message-rules.js';
import { decodeTask, resend } from '../message/task-codec.js';
import type { TaskRequest } from '../message/task-request.js';
import { isTransitHeader } from '../message/transit-header.js';
import type { ResultBackend } from '../results/result-backend.js';
import type { RecordState } from '../results/task-record.js';
import { REQUEUE, isFinalState } from '../state/task-state.js';
import { publishDeclared } from '../transport/publish-declared.js';
import { mainQueueOf } from '../transport/transport.js';
import type { SenderHost } from './sender-host.js';

/** What became of a dead letter that was to be run once more. */
export type LetterFate =
  /** It is in its queue again, as it came. */
  | { readonly kind: 'sent' }
  /** Its record was a FAILURE and is PENDING again; the message waits in the outbox. */
  | { readonly kind: 'requeued'; readonly attempt: number }
  /** Its task has gone on without it: a worker would acknowledge it and run nothing. */
  | { readonly kind: 'obsolete'; readonly reason: string }
  /** Nothing was sent, and nothing can be. */
  | { readonly kind: 'refused'; readonly reason: string };

export interface LetterHost extends Pick<SenderHost, 'runtime' | 'routing' | 'transport' | 'outbox'> {
  /** Connected; null for an app without. */
  results(): Promise<ResultBackend | null>;
}

interface Failed {
  readonly request: TaskRequest;
  readonly message: Message;
  /** That of its record. */
  readonly attempt: number;
}

/** Sends dead letters once more. Asked twice for one letter, as where the letter could not be taken out of its queue, it sends nothing that is run twice as long as records are kept. */
export class LetterSender {
  readonly #host: LetterHost;

  constructor(host: LetterHost) {
    this.#host = host;
  }

  /** As `Lovage.requeueLetter`. */
  async send(letter: Message): Promise<LetterFate> {
    const { rules } = await this.#host.routing();
    const message = originalOf(letter);
    const request = read(message, rules);
    const results = request === null ? null : await this.#host.results();
    if (request === null || results === null) return this.#publish(message);
    const record = (await results.states([request.id])).get(request.id);
    if (record === undefined) return this.#publish(message);
    const { state, attempt } = record;
    if (state === REQUEUE.from) return this.#requeue({ request, message, attempt });
    if (state === 'REVOKED') return { kind: 'refused', reason: 'its task has ended REVOKED, and is not run any more' };
    return isObsolete(record, request)
      ? { kind: 'obsolete', reason: `its task is ${state} without it` }
      : this.#publish(message);
  }

  async #publish(message: Message): Promise<LetterFate> {
    const { queueSpec } = await this.#host.routing();
    // Sent before, for all that is known: its record is looked up before it runs (rule 3).
    const marked = { ...message, headers: { ...message.headers, republished: true } };
    const [error = null] = await publishDeclared(await this.#host.transport(), queueSpec, [marked]);
    if (error !== null) throw error;
    return { kind: 'sent' };
  }

  /** With the message that came, which holds what its record may lack: all arguments, the caller's headers. */
  async #requeue(failed: Failed): Promise<LetterFate> {
    const { rules, maxSize } = await this.#host.routing();
    const outbox = await this.#host.outbox({ started: true });
    if (outbox === null) return { kind: 'refused', reason: 'this app runs its tasks inline (app.testing)' };
    const attempt = failed.attempt + 1;
    const again = resend(failed.message, { attempt, retries: 0, unknownSince: null });
    // Whoever has it run again wants it to run.
    const { expires: _, ...headers } = again.headers;
    const unsigned = { ...again, headers: { ...headers, republished: true, tracked: true } };
    const message = rules.signer?.sign(unsigned) ?? unsigned;
    const draft = draftOf(decodeTask(message, rules), { worker: null, maxSize, message });
    const { id: taskId, task } = failed.request;
    const call = { rowId: this.#host.runtime.uuid(), taskId, task, message, due: { inMs: 0 }, unique: null };
    if (await outbox.requeue({ ...call, record: pendingOf(draft, null) })) return { kind: 'requeued', attempt };
    return { kind: 'refused', reason: 'its record has changed meanwhile: try again' };
  }
}

/** As it was before it was moved. */
function originalOf(letter: Message): Message {
  const headers = Object.fromEntries(Object.entries(letter.headers).filter(([name]) => !isTransitHeader(name)));
  return { ...letter, queue: mainQueueOf(letter.queue), headers };
}

/** null: it is no task message that this app would accept. */
function read(message: Message, rules: MessageRules): TaskRequest | null {
  try {
    return decodeTask(message, rules);
  } catch {
    return null;
  }
}

function isObsolete({ state, attempt }: RecordState, request: TaskRequest): boolean {
  return isFinalState(state) || attempt > request.attempt;
}
