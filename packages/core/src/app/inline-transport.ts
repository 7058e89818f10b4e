import { LovageError, isLovageError } from '../errors/lovage-error.js';
import { completionOf, draftOf, failureOf, keepsResult, leavesRecord, noteOf } from '../execution/completion-of.js';
import { executeTask, type TaskResolver } from '../execution/execute-task.js';
import type { Outcome } from '../execution/outcome.js';
import type { Message } from '../message/message.js';
import type { MessageRules } from '../message/message-rules.js';
import { decodeTask } from '../message/task-codec.js';
import type { TaskRequest } from '../message/task-request.js';
import { mayFollow } from '../results/record-guard.js';
import type { ResultBackend } from '../results/result-backend.js';
import type { Runtime } from '../runtime/runtime.js';
import { stderrLogger } from '../task/task-logger.js';
import type { TaskDefinition } from '../task/task-definition.js';
import type { Consumer, Transport, TransportCapabilities } from '../transport/transport.js';

export interface InlineHost {
  readonly runtime: Runtime;
  readonly resolver: TaskResolver;
  readonly maxSize: number;
  readonly rules: MessageRules;
  find(task: string): TaskDefinition | undefined;
  /** null for an app without results. */
  results(): Promise<ResultBackend | null>;
}

/**
 * A transport that runs each task in the caller, before it confirms the publish: for users' tests. The message is
 * encoded and decoded as on the wire, and the outcome is committed like a worker's.
 */
export class InlineTransport implements Transport {
  readonly capabilities: TransportCapabilities = {};
  readonly #host: InlineHost;

  constructor(host: InlineHost) {
    this.#host = host;
  }

  async start(): Promise<void> {}

  async stop(): Promise<void> {}

  async declare(): Promise<void> {}

  async publish(messages: readonly Message[]): Promise<readonly (LovageError | null)[]> {
    const outcomes: (LovageError | null)[] = [];
    for (const message of messages) outcomes.push(await this.#run(message));
    return outcomes;
  }

  async consume(): Promise<Consumer> {
    throw new LovageError(
      'LOVAGE_USAGE',
      'this app runs its tasks inline (app.testing): there is nothing for a worker to consume',
    );
  }

  async #run(message: Message): Promise<LovageError | null> {
    try {
      const request = decodeTask(message, this.#host.rules);
      const definition = this.#host.find(request.task);
      if (definition === undefined) {
        return new LovageError(
          'LOVAGE_NOT_REGISTERED',
          `no task is named '${request.task}' in this app: inline mode can only run tasks it has the code of`,
        );
      }
      const again = await this.#attempt(message, request, definition);
      return again === null ? null : this.#run(again);
    } catch (error) {
      return isLovageError(error)
        ? error
        : new LovageError('LOVAGE_PUBLISH', 'the task could not be run inline', { cause: error });
    }
  }

  /** One run of a task. Resolves with the message that is to be run next, if it is to be retried. */
  async #attempt(message: Message, request: TaskRequest, definition: TaskDefinition): Promise<Message | null> {
    const results = await this.#host.results();
    // As a worker does (rule 3).
    if (results !== null && request.republished && (await this.#hasEnded(results, request))) return null;
    const { runtime, maxSize, rules } = this.#host;
    const draft = draftOf(request, { worker: 'inline', maxSize, message });
    const startedAt = runtime.monotonic();
    const runtimeMs = (): number => runtime.monotonic() - startedAt;
    const outcome = await this.#outcomeOf(request, definition, {
      results,
      report: (progressJson) =>
        void (
          keepsResult(request, definition) &&
          results?.commit([noteOf(draft, 'PROGRESS', { runtimeMs: runtimeMs(), progressJson })])
        ),
    });
    if (results === null || !leavesRecord(request, definition, outcome)) return null;
    const completion = completionOf(draft, outcome, {
      runtimeMs: runtimeMs(),
      runtime,
      sends: true,
      parkedRow: null,
      signer: rules.signer,
    });
    // What is to be sent is sent from here: nothing relays what an outbox holds.
    const [result] = await results.commit([{ ...completion, followUps: [] }]);
    if (!isLovageError(result)) return (result === 'applied' && completion.followUps[0]?.message) || null;
    await results.commit([failureOf(completion, result)]);
    return null;
  }

  async #hasEnded(results: ResultBackend, { id, attempt }: TaskRequest): Promise<boolean> {
    const record = (await results.states([id])).get(id);
    return record !== undefined && !mayFollow(record, { state: 'SUCCESS', attempt });
  }

  async #outcomeOf(
    request: TaskRequest,
    definition: TaskDefinition,
    { results, report }: { readonly results: ResultBackend | null; readonly report: (progressJson: string) => void },
  ): Promise<Outcome> {
    const { runtime, resolver, maxSize } = this.#host;
    if (request.expires !== null && request.expires.getTime() <= runtime.now())
      return { kind: 'revoked', reason: 'expired' };
    return await executeTask(request, definition, {
      runtime,
      resolver,
      signal: new AbortController().signal,
      log: stderrLogger,
      maxResultSize: results !== null && keepsResult(request, definition) ? maxSize : null,
      canRetry: results !== null,
      interrupted: false,
      decided: false,
      reportProgress: report,
    });
  }
}
