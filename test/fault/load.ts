import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import type { CallOptions, Lovage } from 'lovage';
import { persist } from './persist.js';
import type { Random } from './random.js';
import { Plain, childOf } from './tasks.js';
import { type Expected, type Sent, success, upTo } from './wave.js';

/** A call that has been made, and when: in milliseconds since 1970, from its first try until it was taken. */
export interface Call {
  readonly expected: Expected;
  readonly from: number;
  readonly to: number;
}

/** Calls under way at the same time. */
const LANES = 8;
/** A lane waits for up to so long between two calls. */
const PAUSE_MS = 120;
/** Longer than it takes to do something to the server of a task that runs. */
const SLOW_MS = 5_000;

/** Callers that go on calling, whatever happens: a call that fails for a server's sake is made again under the same id. */
export class Load {
  readonly #app: Lovage;
  readonly #random: Random;
  readonly #calls: Call[] = [];
  #isOn = false;
  #lanes: Promise<void> = Promise.resolve();
  #failed = 0;
  #lastFailure = 'nothing';
  #strays = 0;

  constructor(app: Lovage, random: Random) {
    this.#app = app;
    this.#random = random;
  }

  /** Those that were taken. */
  get calls(): readonly Call[] {
    return this.#calls;
  }

  /** How many tries failed. */
  get failed(): number {
    return this.#failed;
  }

  /** What the last of them failed with. */
  get lastFailure(): string {
    return this.#lastFailure;
  }

  /** How many of these may have arrived under an id that nobody knows. */
  get strays(): number {
    return this.#strays;
  }

  begin(): void {
    this.#isOn = true;
    this.#lanes = Promise.all(Array.from({ length: LANES }, () => this.#lane())).then(() => undefined);
  }

  /** Resolves when all calls under way have been taken. */
  async pause(): Promise<void> {
    this.#isOn = false;
    await this.#lanes;
  }

  /** Tasks that run for a while. */
  async callSlow(count: number): Promise<void> {
    await Promise.all(
      Array.from({ length: count }, async () => {
        const from = Date.now();
        const expected = { ...success(await this.#call('fault.slow', SLOW_MS)), kind: 'slow' };
        this.#calls.push({ expected, from, to: Date.now() });
      }),
    );
  }

  async #lane(): Promise<void> {
    const kinds = Object.entries(this.#kinds());
    while (this.#isOn) {
      const [kind, call] = this.#random.pick(kinds);
      const from = Date.now();
      const sent = await call();
      const to = Date.now();
      for (const one of sent) this.#calls.push({ expected: { ...one, kind }, from, to });
      await pause(this.#random.below(PAUSE_MS));
    }
  }

  #kinds(): Readonly<Record<string, () => Promise<readonly Sent[]>>> {
    const random = this.#random;
    return {
      plain: async () => {
        const task = this.#app.task(Plain);
        const { id } = await persist(
          () => task.delay(1),
          (error) => {
            this.#noteFailure(error);
            this.#strays += 1;
          },
        );
        return [success(id)];
      },
      named: async () => [success(await this.#call('fault.plain'))],
      again: async () => this.#retried('fault.again', 1 + random.below(3)),
      later: async () => this.#retried('fault.later', 1 + random.below(2)),
      fails: async () => [{ ...success(await this.#call('fault.fails')), states: ['FAILURE'] }],
      countdown: async () => this.#written({ countdown: random.below(250) }),
      track: async () => this.#written({ track: true }),
      slow: async () => [success(await this.#call('fault.slow', random.below(500)))],
      parent: async () => {
        const id = await this.#call('fault.parent');
        return [success(id), { ...success(childOf(id)), caused: [0] }];
      },
    };
  }

  async #retried(task: string, failures: number): Promise<readonly Sent[]> {
    return [{ ...success(await this.#call(task, failures)), retries: failures, ...upTo(failures) }];
  }

  async #written(options: CallOptions): Promise<readonly Sent[]> {
    return [{ ...success(await this.#call('fault.plain', 1, options)), caused: [0] }];
  }

  async #call(task: string, arg = 1, options: CallOptions = {}): Promise<string> {
    const id = randomUUID();
    const handle = this.#app.task<[n: number]>(task).with({ ...options, id });
    await persist(
      () => handle.delay(arg),
      (error) => this.#noteFailure(error),
    );
    return id;
  }

  #noteFailure(error: Error): void {
    this.#failed += 1;
    this.#lastFailure = `${new Date().toISOString()} ${error.message}`;
  }
}
