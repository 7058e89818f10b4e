import {
  LovageError,
  completionOf,
  draftOf,
  encodeError,
  isLovageError,
  leavesRecord,
  type Delivery,
  type EventSink,
  type Message,
  type MessageRules,
  type Outcome,
  type Runtime,
  type TaskRegistry,
  type TaskRequest,
} from '@lovage/core';
import { readTask } from './admission.js';
import { announce } from './announce.js';
import type { Committer } from './committer.js';
import type { DeadLetters } from './dead-letters.js';
import type { Held, Intake } from './intake.js';

export interface LostMessagesOptions {
  readonly tasks: TaskRegistry;
  readonly rules: MessageRules;
  /** null: nothing is stored. */
  readonly committer: Committer | null;
  readonly deadLetters: DeadLetters;
  readonly events: EventSink;
  readonly runtime: Runtime;
  readonly worker: string;
  readonly maxSize: number;
}

interface LostTask {
  readonly request: TaskRequest;
  readonly message: Message;
  readonly outcome: Outcome;
}

/**
 * Takes up what the broker took out of a queue (rule 6), so that it swallows nothing: the record is written first (expired → REVOKED, anything
 * else → FAILURE), then the message goes to `<queue>.dead`, then it is acknowledged.
 */
export class LostMessages {
  readonly #options: LostMessagesOptions;

  constructor(options: LostMessagesOptions) {
    this.#options = options;
  }

  readonly receive = (intake: Intake, deliveries: readonly Delivery[]): void => {
    for (const delivery of deliveries) this.#take({ intake, delivery });
  };

  #take(held: Held): void {
    const { queue } = held.intake;
    const { committer, tasks, rules, deadLetters } = this.#options;
    const message = { ...held.delivery.message, queue };
    const lost = lossOf(message);
    const request = readTask(message, rules);
    if (typeof request === 'string')
      return deadLetters.push({ held, id: null, reason: `${reasonText(lost)}; and it cannot be read: ${request}` });
    const letter = { held, id: request.id, reason: reasonText(lost) };
    // Without the broker's word on it somebody put the message here by hand: that ends no task.
    if (committer === null || lost === null) return deadLetters.push(letter);
    const outcome = outcomeOf(request, lost);
    if (!leavesRecord(request, tasks.get(request.task) ?? null, outcome)) return deadLetters.push(letter);
    this.#record({ request, message, outcome }, () => deadLetters.push(letter));
  }

  #record({ request, message, outcome }: LostTask, done: () => void): void {
    const { events, runtime, worker, maxSize, committer } = this.#options;
    const draft = draftOf(request, { worker, maxSize, message });
    const commitment = {
      // Its end: nothing of it is sent again, or signed.
      completion: completionOf(draft, outcome, {
        runtimeMs: null,
        runtime,
        sends: true,
        parkedRow: null,
        signer: null,
      }),
      settled: (result: unknown) => {
        if (result === 'applied') announce(events, request, commitment.completion);
        else if (isLovageError(result))
          events.emit('warning', {
            message: `the record of lost task ${request.task} could not be stored`,
            error: result,
          });
        done();
      },
    };
    committer?.push(commitment);
  }
}

function outcomeOf({ queue }: TaskRequest, lost: string): Outcome {
  if (lost === 'expired') return { kind: 'revoked', reason: 'expired' };
  const what = `the broker took the message out of queue '${queue}' (${lost})`;
  const hint = lost === 'delivery_limit' ? ': workers took it over and over and none ended it' : '';
  return { kind: 'failure', error: encodeError(new LovageError('LOVAGE_MESSAGE_LOST', what + hint)) };
}

function reasonText(lost: string | null): string {
  return lost === null
    ? 'found in the queue of lost messages, without a word of the broker (header x-death)'
    : `lost: the broker took it out of its queue (${lost})`;
}

/** Why the broker took a message out, by its x-death header (the newest entry first): expired, delivery_limit, rejected, maxlen. */
function lossOf({ headers }: Message): string | null {
  const deaths = headers['x-death'];
  const newest: unknown = Array.isArray(deaths) ? deaths[0] : null;
  const reason = typeof newest === 'object' && newest !== null ? (newest as { reason?: unknown }).reason : null;
  return typeof reason === 'string' ? reason : null;
}
