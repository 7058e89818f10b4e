import path from 'node:path';
import { Worker as Thread } from 'node:worker_threads';
import type { Revocation } from '@lovage/core';
import type { RevocationAccess } from './loop-watch.js';
import type { FromRevocationThread } from './revocation-thread.js';

/** What was built, wherever this stands: a thread runs no TypeScript. */
const ENTRY = path.join(__dirname, '..', '..', 'dist', 'loop', 'revocation-thread.js');

export interface TerminationsOptions extends RevocationAccess {
  readonly onNews: () => void;
  /** They cannot be read now. */
  readonly onProblem: (text: string) => void;
}

interface Termination {
  readonly revocation: Revocation;
  /** When its grace is over; a time of performance.now. */
  readonly dueAt: number;
}

/**
 * For the thread that watches a blocked one: the tasks that are to be terminated, which the blocked one does not hear of. It takes the app to read them, as credentials may be code; so the app is loaded once
 * more, in a thread of its own: nothing of what it does there, be it that it never ends, keeps the watch from its work.
 */
export class Terminations {
  readonly #found = new Map<string, Termination>();
  readonly #thread: Thread;

  constructor({ app, graceMs, onNews, onProblem }: TerminationsOptions) {
    this.#thread = new Thread(ENTRY, { workerData: app });
    this.#thread.on('message', (message: FromRevocationThread) => {
      if (message.kind === 'problem') return onProblem(message.message);
      const dueAt = performance.now() + graceMs;
      for (const revocation of message.news) this.#found.set(revocation.id, { revocation, dueAt });
      onNews();
    });
    this.#thread.on('error', (error) => onProblem(error.message));
  }

  /** When a task's grace is over; Infinity: it is not to be terminated. */
  dueAt(id: string | undefined): number {
    return (id === undefined ? undefined : this.#found.get(id)?.dueAt) ?? Infinity;
  }

  /** The revocation of a task whose grace is over: once, after which it is not known any more. */
  takeDue(id: string | undefined): Revocation | null {
    if (id === undefined || this.dueAt(id) > performance.now()) return null;
    const revocation = this.#found.get(id)?.revocation ?? null;
    this.#found.delete(id);
    return revocation;
  }

  stop(): void {
    void this.#thread.terminate();
  }
}
