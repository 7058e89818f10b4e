import { systemRuntime, type Runtime } from '@lovage/core';

/** The system's clocks, which a test can put forward. Timers are not: what sleeps wakes when it would have. */
export class ShiftedRuntime implements Runtime {
  #shiftMs = 0;

  advance(ms: number): void {
    this.#shiftMs += ms;
  }

  now(): number {
    return systemRuntime.now() + this.#shiftMs;
  }

  monotonic(): number {
    return systemRuntime.monotonic() + this.#shiftMs;
  }

  random(): number {
    return systemRuntime.random();
  }

  uuid(): string {
    return systemRuntime.uuid();
  }
}
