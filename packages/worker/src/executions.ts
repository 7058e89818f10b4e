import type { TaskRequest } from '@lovage/core';
import type { Execution, ExecutionPhase } from './execution.js';

/** The executions of this process by id and attempt (rule 3): at most one for each. */
export class Executions {
  // Nearly all messages are first attempts: those need no composed key.
  readonly #first = new Map<string, Execution>();
  readonly #later = new Map<string, Execution>();

  get size(): number {
    return this.#first.size + this.#later.size;
  }

  find(request: Pick<TaskRequest, 'id' | 'attempt'>): Execution | undefined {
    return request.attempt === 0 ? this.#first.get(request.id) : this.#later.get(laterKey(request));
  }

  add(execution: Execution): void {
    const { request } = execution;
    if (request.attempt === 0) this.#first.set(request.id, execution);
    else this.#later.set(laterKey(request), execution);
  }

  delete({ request }: Execution): void {
    if (request.attempt === 0) this.#first.delete(request.id);
    else this.#later.delete(laterKey(request));
  }

  in(phase: ExecutionPhase): readonly Execution[] {
    return [...this.#first.values(), ...this.#later.values()].filter((execution) => execution.phase === phase);
  }
}

function laterKey(request: Pick<TaskRequest, 'id' | 'attempt'>): string {
  return `${request.attempt}:${request.id}`;
}
