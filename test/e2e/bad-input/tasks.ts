import 'reflect-metadata';
import { Arg, Task, TaskContext } from 'lovage';
import { BAD_RESULTS, ODD_RESULTS, hostileHandler } from './bad-results.js';
import { BAD_THROWS } from './bad-throws.js';
import { Order } from './order.js';

/** What is known of the process that runs a task. */
export interface Vitals {
  readonly pid: number;
  /** In bytes. */
  readonly rss: number;
  /** What a polluted prototype would show. */
  readonly polluted: unknown;
}

@Task({ name: 'bad.vitals' })
export class ShowVitals {
  run(): Vitals {
    (globalThis as { gc?: () => void }).gc?.();
    const polluted = ({} as { polluted?: unknown }).polluted ?? ([] as { polluted?: unknown }).polluted ?? null;
    return { pid: process.pid, rss: process.memoryUsage.rss(), polluted };
  }
}

/** Describes its arguments, as a result could not always hold them. */
@Task({ name: 'bad.describe', params: ['value', 'other'] })
export class Describe {
  run(value: unknown, other?: unknown): readonly string[] {
    return [value, other].map(
      (argument) => `${typeof argument} ${typeof argument === 'string' ? codesOf(argument) : String(argument)}`,
    );
  }
}

@Task({ name: 'bad.keys' })
export class Keys {
  run(value: object): readonly string[] {
    return Object.keys(value);
  }
}

@Task({ name: 'bad.size' })
export class Size {
  run(text: string): number {
    return text.length;
  }
}

@Task({ name: 'bad.headers' })
export class ShowHeaders {
  run(): string {
    return JSON.stringify(TaskContext.current().headers);
  }
}

@Task({ name: 'bad.order' })
export class TakeOrder {
  run(@Arg() order: Order): number {
    return order.quantity;
  }
}

/** Tasks that wait for each other, so that they end in one turn of the event loop: one batch of commits. */
class Wave {
  static readonly #all = new Map<string, Wave>();
  readonly #missing: Set<number>;
  readonly #whole: Promise<void>;
  #open = (): void => {};

  private constructor(size: number) {
    this.#missing = new Set(Array.from({ length: size }, (_, index) => index));
    this.#whole = new Promise((resolve) => (this.#open = resolve));
  }

  static join(name: string, index: number, size: number): Promise<void> {
    const wave = this.#all.get(name) ?? new Wave(size);
    this.#all.set(name, wave);
    wave.#missing.delete(index);
    if (wave.#missing.size === 0) {
      this.#all.delete(name);
      wave.#open();
    }
    return wave.#whole;
  }
}

/** One of `size` that end together; what it does then is `kind`. */
@Task({ name: 'bad.member' })
export class Member {
  async run(wave: string, index: number, size: number, kind: string): Promise<unknown> {
    await Wave.join(wave, index, size);
    if (kind === 'healthy') return index;
    if (kind.startsWith('throws ')) throw BAD_THROWS[kind.slice('throws '.length)]?.thrown();
    return (BAD_RESULTS[kind] ?? ODD_RESULTS[kind]?.made)?.();
  }
}

/** Reports something as its progress, and ends well. */
@Task({ name: 'bad.progress' })
export class Progress {
  run(kind: string): string {
    TaskContext.current().progress(BAD_RESULTS[kind]?.());
    return 'ended';
  }
}

/** Leaves something dangling that breaks when the task has long ended. */
@Task({ name: 'bad.dangling' })
export class Dangling {
  run(kind: string): string {
    switch (kind) {
      case 'rejects later':
        void Promise.reject(new Error('rejected later'));
        break;
      case 'rejects later with a null object':
        void Promise.reject(Object.create(null) as Error);
        break;
      case 'throws in a timer':
        setImmediate(() => {
          throw new Error('thrown in a timer');
        });
        break;
      case 'throws a null object in a timer':
        setImmediate(() => {
          throw Object.create(null) as Error;
        });
        break;
      case 'throws an error with getters that throw in a timer':
        setImmediate(() => {
          throw BAD_THROWS['an error with getters that throw']?.thrown() as Error;
        });
        break;
      case 'throws a Proxy in a timer':
        setImmediate(() => {
          throw new Proxy({}, hostileHandler()) as Error;
        });
        break;
    }
    return 'ended';
  }
}

@Task({ name: 'bad.constructor' })
export class ConstructorThrows {
  constructor() {
    throw new SyntaxError('no such instance');
  }

  run(): void {}
}

@Task({ name: 'bad.resolver-throws' })
export class ResolverThrows {
  run(): void {}
}

@Task({ name: 'bad.resolver-rejects' })
export class ResolverRejects {
  run(): void {}
}

@Task({ name: 'bad.resolver-nothing' })
export class ResolverGivesNothing {
  run(): void {}
}

/** Deaf to its signal. */
@Task({ name: 'bad.never' })
export class Never {
  run(): Promise<never> {
    return new Promise(() => {});
  }
}

@Task({ name: 'bad.exit' })
export class Exit {
  run(): void {
    process.exit(0);
  }
}

@Task({ name: 'bad.wait' })
export class Wait {
  async run(ms: number): Promise<number> {
    await new Promise((resolve) => setTimeout(resolve, ms));
    return ms;
  }
}

function codesOf(text: string): string {
  return Array.from({ length: text.length }, (_, index) => text.charCodeAt(index).toString(16)).join(' ');
}
