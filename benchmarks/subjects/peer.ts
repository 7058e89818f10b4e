import { executeToCount } from '../support/execution.js';
import type { Command } from '../support/processes.js';
import { rateOf, type Load, type Subject } from './subject.js';

export interface PeerOptions {
  readonly name: string;
  readonly caller: (load: Load) => Command;
  readonly worker: (load: Load) => Command;
  readonly clear: (load: Load) => Promise<void>;
}

/** A system whose worker prints a byte for each task that is done. */
export function peer({ name, caller, worker, clear }: PeerOptions): Subject {
  return {
    name,
    enqueue: (load) => rateOf(caller(load)),
    execute: (load) => executeToCount({ name, tasks: load.tasks, worker: worker(load) }),
    clear,
  };
}
