import { EXIT_CODES, type ExitName } from '../exit-codes.js';
import type { Logger } from '../run-service.js';
import { describeEnd } from './restart-delay.js';
import type { WorkerEnd, WorkerProcess } from './worker-process.js';
import { WorkerSlot, type SlotRequest } from './worker-slot.js';

export interface ProcessSupervisorOptions {
  readonly processes: number;
  readonly logger: Logger;
  readonly startProcess: (request: ProcessRequest) => WorkerProcess;
}

export interface ProcessRequest extends SlotRequest {
  /** Which one it is, from 1. */
  readonly process: number;
  /** It is the very first. */
  readonly first: boolean;
}

/**
 * Keeps so many worker processes running until it is told to stop. The first one goes ahead: what keeps it from starting would keep all of them, is told by it alone, and ends the whole with
 * its exit code, as it would end a single worker. From then on every process that dies is replaced, for ever.
 */
export class ProcessSupervisor {
  readonly #options: ProcessSupervisorOptions;
  readonly #slots: readonly WorkerSlot[];
  #stopping = false;

  constructor(options: ProcessSupervisorOptions) {
    this.#options = options;
    let first = true;
    this.#slots = Array.from({ length: options.processes }, (_, index) => {
      const number = index + 1;
      const startProcess = (slot: SlotRequest): WorkerProcess => {
        const request = { ...slot, process: number, first };
        first = false;
        return options.startProcess(request);
      };
      return new WorkerSlot({ number, logger: options.logger, startProcess });
    });
  }

  /** Why not all of it consumes; null: all of it does. */
  notReady(): string | null {
    if (this.#stopping) return 'the worker is stopping';
    const silent = this.#slots.filter((slot) => !slot.consuming).length;
    return silent === 0 ? null : `${silent} of ${this.#slots.length} processes do not consume`;
  }

  /** Resolves once `stop` was called and every process has ended, or the first one could not start. Once. */
  async run(): Promise<ExitName> {
    const [first, ...others] = this.#slots as [WorkerSlot, ...WorkerSlot[]];
    const failure = await first.begin();
    if (failure !== null && !this.#stopping) return this.#failed(failure);
    await Promise.all([first, ...others].map((slot) => slot.keep()));
    return exitOf(this.#slots.flatMap(({ lastEnds }) => lastEnds));
  }

  /** Ends all processes as a signal does, `now` as a second one. */
  stop(reason: string, options: { readonly now: boolean }): void {
    this.#stopping = true;
    for (const slot of this.#slots) slot.stop(reason, options);
  }

  #failed(end: WorkerEnd): ExitName {
    // What it exits with by itself it has explained.
    if (end.code === null) this.#options.logger.error(`The first process ${describeEnd(end)} before it was ready`);
    return nameOf(end.code);
  }
}

function exitOf(ends: readonly WorkerEnd[]): ExitName {
  // One that never consumed had nothing to leave undone.
  const names = ends
    .filter(({ readyAt }) => readyAt !== null)
    .map(({ code }) => (code === null ? 'abandoned' : nameOf(code)));
  return names.find((name) => name !== 'ok') ?? 'ok';
}

function nameOf(code: number | null): ExitName {
  const names = Object.keys(EXIT_CODES) as ExitName[];
  return names.find((name) => EXIT_CODES[name].code === code) ?? 'failure';
}
