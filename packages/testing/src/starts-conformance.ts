/// <reference types="jest" />
import type { ResultBackend, Starts, TaskAttempt } from '@lovage/core';
import { clockMoves, newId } from './records.js';

export interface StartsSubject {
  readonly backend: ResultBackend;
  readonly peer: ResultBackend;
  /** Opens the store anew, empty. */
  readonly reopen: (expiresMs: number) => Promise<void>;
}

/** The tests of the capability `starts`. */
export function describeStarts(
  subject: () => StartsSubject,
  promise: (title: string, test: () => Promise<void>) => void,
): void {
  const starts = (): Starts => subject().backend.capabilities.starts as Starts;
  const theirs = (): Starts => subject().peer.capabilities.starts as Starts;
  const task = (fields: Partial<TaskAttempt> = {}): TaskAttempt => ({ id: newId(), attempt: 0, ...fields });

  promise('counts the starts of each attempt by itself, whoever counts', async () => {
    const first = task();
    const [again, other] = [task({ id: first.id, attempt: 1 }), task()];
    await starts().begin([first, other]);
    await theirs().begin([first, again]);
    await starts().begin([first, first]);
    expect(await theirs().unended([other, task(), first, again])).toEqual([1, 0, 4, 1]);
  });

  promise('loses none of those that are counted at the same time', async () => {
    const tasks = Array.from({ length: 100 }, () => task());
    const rounds = Array.from({ length: 10 }, (_, index) =>
      (index % 2 === 0 ? starts() : theirs()).begin(index % 3 === 0 ? tasks : [...tasks].reverse()),
    );
    await Promise.all(rounds);
    expect(await starts().unended(tasks)).toEqual(tasks.map(() => 10));
  });

  promise('takes back one start of each, and passes over what is not counted', async () => {
    const [twice, once, never] = [task(), task(), task()];
    await starts().begin([twice, once]);
    await starts().begin([twice]);
    await theirs().takeBack([twice, once, never]);
    expect(await starts().unended([twice, once, never])).toEqual([1, 0, 0]);
    await starts().takeBack([twice, twice]);
    await starts().begin([twice]);
    expect(await starts().unended([twice])).toEqual([1]);
  });

  promise('forgets the starts of what has ended, and those of earlier attempts', async () => {
    const id = newId();
    const attempts = [0, 1, 2].map((attempt) => ({ id, attempt }));
    const other = task();
    await starts().begin([...attempts, other]);
    await starts().begin(attempts);
    await theirs().end([{ id, attempt: 1 }, task()]);
    expect(await starts().unended([...attempts, other])).toEqual([0, 0, 2, 1]);
  });

  promise('takes nothing, and passes over an id that no row can have', async () => {
    const odd = [task({ id: '\0' }), task({ id: '\ud800' })];
    for (const tasks of [[], odd]) {
      await starts().begin(tasks);
      await starts().takeBack(tasks);
      await starts().end(tasks);
      await starts().unended(tasks);
    }
    const { id } = task({ id: `${newId()} "\\{},'${'é'.repeat(255)}`.slice(0, 255) });
    await starts().begin([task({ id })]);
    expect(await theirs().unended([task({ id })])).toEqual([1]);
  });

  promise('keeps what was left behind for results.expires', async () => {
    const left = task();
    await starts().begin([left]);
    await subject().backend.expire(10);
    expect(await starts().unended([left])).toEqual([1]);
    await subject().reopen(1);
    await starts().begin([left]);
    await clockMoves(subject().backend);
    await clockMoves(subject().backend);
    await subject().peer.expire(10);
    expect(await starts().unended([left])).toEqual([0]);
  });
}
