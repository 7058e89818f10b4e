import { type CallOptions, type Lovage, type UniqueScope } from 'lovage';
import { randomUUID } from 'node:crypto';
import type { Broker } from './assignment.js';
import type { Random } from './random.js';
import { Again, Asks, Fails, Ignored, Later, Parent, Plain, Requeued, childOf } from './tasks.js';

/** What must be true of one task in the end. */
export interface Expected {
  readonly id: string;
  readonly kind: string;
  /** Its final state: one of these. Empty: it leaves no record. */
  readonly states: readonly string[];
  readonly retries: number;
  /** null: it depends on how long it took. */
  readonly attempt: number | null;
  /** The attempts that an outbox row must have caused, each once. null: any, each at most once. */
  readonly caused: readonly number[] | null;
  /** The attempts that must have run. */
  readonly runs: readonly number[];
  /** It stays FAILURE until it is run again by hand. */
  readonly requeue: boolean;
}

export interface CallerOptions {
  readonly app: Lovage;
  readonly queue: string;
  readonly broker: Broker;
  readonly random: Random;
}

/** A caller, which makes calls of every kind and says what must become of them. */
export class Caller {
  readonly #app: Lovage;
  readonly #queue: string;
  readonly #broker: Broker;
  readonly #random: Random;

  constructor({ app, queue, broker, random }: CallerOptions) {
    this.#app = app;
    this.#queue = queue;
    this.#broker = broker;
    this.#random = random;
  }

  /** Sends a mix of tasks, at least one of each kind. */
  async wave(more: number): Promise<readonly Expected[]> {
    const kinds = this.#kinds();
    const names = Object.keys(kinds);
    const chosen = this.#random.shuffled([
      ...names,
      ...Array.from({ length: this.#random.below(more + 1) }, () => this.#random.pick(names)),
    ]);
    const sent = await Promise.all(
      chosen.map(async (kind) =>
        ((await kinds[kind]?.()) ?? []).map((one) => ({ ...one, kind, caused: this.#rowsOf(one) })),
      ),
    );
    return sent.flat();
  }

  /** Where the outbox is the queue, every call is a row of it. */
  #rowsOf({ caused }: Sent): Sent['caused'] {
    return caused === null || this.#broker === 'rabbitmq' ? caused : [...new Set([0, ...caused])];
  }

  #kinds(): Readonly<Record<string, () => Promise<readonly Sent[]>>> {
    const random = this.#random;
    const app = this.#app;
    return {
      plain: async () => [success((await app.task(Plain).delay(1)).id)],
      again: async () => this.#retried(Again, 1 + random.below(3)),
      later: async () => this.#retried(Later, 1 + random.below(2)),
      asks: async () => this.#retried(Asks, 1 + random.below(2)),
      exhausted: async () => [
        { ...(await this.#retried(Again, 9))[0], states: ['FAILURE'], retries: 3, ...upTo(3) } as Sent,
      ],
      fails: async () => [{ ...success((await app.task(Fails).delay()).id), states: ['FAILURE'] }],
      ignored: async () => {
        const failures = random.below(3);
        const [sent] = await this.#retried(Ignored, failures);
        return [{ ...(sent as Sent), states: failures === 0 ? [] : ['SUCCESS'] }];
      },
      countdown: async () => this.#written({ countdown: random.below(250) }),
      track: async () => this.#written({ track: true }),
      'track-retry': async () => {
        const [sent] = await this.#retried(Again, 2, { track: true });
        return [{ ...(sent as Sent), caused: [0, 1, 2] }];
      },
      'unique-queued': () => this.#unique('queued'),
      'unique-running': () => this.#unique('running'),
      'unique-finished': () => this.#unique('finished'),
      parent: async () => {
        const { id } = await app.task(Parent).delay(1);
        return [success(id), { ...success(childOf(id)), caused: [0] }];
      },
      requeued: async () => {
        const { id } = await app.task(Requeued).delay(1);
        return [{ ...success(id), attempt: 1, caused: [1], runs: [0, 1], requeue: true }];
      },
      early: async () => {
        // A worker that finds it in time postpones it.
        const id = await this.#foreign('fault.plain', { eta: new Date(Date.now() + 400).toISOString() });
        return [{ ...success(id), attempt: null, caused: null, runs: [] }];
      },
      cancelled: async () => {
        const [sent] = await this.#written({ countdown: '1h' });
        await app.scheduled.cancel((sent as Sent).id);
        return [{ ...(sent as Sent), states: ['REVOKED'], runs: [] }];
      },
      'cancel-race': async () => {
        const [sent] = await this.#written({ countdown: random.below(60) });
        await app.scheduled.cancel((sent as Sent).id);
        return [{ ...(sent as Sent), states: ['REVOKED', 'SUCCESS'], runs: [] }];
      },
      // It takes a second until it ends.
      ...(random.chance(0.3) && {
        unknown: async () => {
          const id = await this.#foreign('fault.nobody', {});
          return [{ ...success(id), states: ['FAILURE'], attempt: null, caused: null, runs: [] }];
        },
      }),
    };
  }

  async #retried(
    task: typeof Again | typeof Later | typeof Asks | typeof Ignored,
    failures: number,
    options: CallOptions = {},
  ): Promise<Sent[]> {
    const { id } = await this.#app.task(task).with(options).delay(failures);
    return [{ ...success(id), retries: failures, ...upTo(failures) }];
  }

  async #written(options: CallOptions): Promise<Sent[]> {
    const { id } = await this.#app.task(Plain).with(options).delay(1);
    return [{ ...success(id), caused: [0] }];
  }

  /** Several calls with one key: each is the first one or, once that is over, one of its own. */
  async #unique(scope: UniqueScope): Promise<Sent[]> {
    const unique = { key: randomUUID(), scope, ttl: '1h' };
    const options: CallOptions = this.#random.chance(0.5) ? { unique } : { unique, countdown: this.#random.below(80) };
    const failures = this.#random.below(2);
    const handle = this.#app.task(Again).with(options);
    const results = await Promise.all([handle.delay(failures), handle.delay(failures), handle.delay(failures)]);
    const ids = [...new Set(results.map(({ id }) => id))];
    const { caused, ...tail } = upTo(failures);
    return ids.map((id) => ({ ...success(id), retries: failures, ...tail, caused: [0, ...caused] }));
  }

  /** A message from another producer. */
  async #foreign(task: string, headers: { readonly eta?: string }): Promise<string> {
    const id = randomUUID();
    const transport = await this.#app.connectBroker();
    const [error] = await transport.publish([
      {
        queue: this.#queue,
        headers: { lang: 'py', task, id, root_id: id, retries: 0, ...headers },
        contentType: 'application/json',
        contentEncoding: 'utf-8',
        correlationId: id,
        replyTo: null,
        priority: null,
        body: Buffer.from('[[1], {}, null]'),
      },
    ]);
    if (error != null) throw error;
    return id;
  }
}

export type Sent = Omit<Expected, 'kind'>;

/** It runs once, and well. */
export function success(id: string): Sent {
  return { id, states: ['SUCCESS'], retries: 0, attempt: 0, caused: [], runs: [0], requeue: false };
}

/** It comes to its end after so many retries. */
export function upTo(retries: number) {
  const caused = Array.from({ length: retries }, (_, index) => index + 1);
  return { attempt: retries, caused, runs: [0, ...caused] };
}
