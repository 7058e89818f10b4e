import { type OptionCheck, checkOptions } from '../config/check-options.js';
import { isName } from '../payload/name.js';
import type { Outbox, ScheduledFilter, ScheduledTask } from './outbox.js';

const FILTER = {
  ids: (value) => (Array.isArray(value) && value.every((id) => typeof id === 'string') ? null : 'an array of ids'),
  task: (value) => (isName(value) ? null : "a task's name"),
  queue: (value) => (isName(value) ? null : "a queue's name"),
  limit: (value) => (Number.isSafeInteger(value) && (value as number) >= 0 ? null : 'an integer ≥ 0'),
} satisfies { readonly [K in keyof Required<ScheduledFilter>]: OptionCheck };

/** The tasks of an app that wait for their time: a countdown, an eta, a retry. */
export class ScheduledTasks {
  readonly #outbox: () => Promise<Outbox>;

  constructor(outbox: () => Promise<Outbox>) {
    this.#outbox = outbox;
  }

  /**
   * Those that fit the filter, soonest first; at most 100 unless `limit` says otherwise. Throws LOVAGE_USAGE for a wrong filter.
   *
   * @example
   * for (const { id, task, eta } of await app.scheduled.list({ task: 'billing.remind' })) console.log(id, task, eta);
   */
  async list(filter: ScheduledFilter = {}): Promise<readonly ScheduledTask[]> {
    checkOptions(filter, 'list()', { checks: FILTER, code: 'LOVAGE_USAGE' });
    return (await this.#outbox()).scheduled(filter);
  }

  /**
   * Takes a task out before its time: it ends REVOKED. false: it does not wait (any more), as it has ended, or a relay has taken it to send it.
   */
  async cancel(id: string): Promise<boolean> {
    return (await (await this.#outbox()).cancel([id])).length > 0;
  }
}
