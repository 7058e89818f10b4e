import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

/** The command `lovage`, as built. */
export const CLI = join(dirname(createRequire(import.meta.url).resolve('lovage/package.json')), 'bin', 'lovage.js');
/** The app that `lovage worker -A` runs, and its caller. */
export const LOVAGE = subject('lovage.mjs');
export const HAND_WRITTEN = subject('hand-written.mjs');
export const HAND_WRITTEN_POSTGRES = subject('hand-written-postgres.mjs');

/** What runs the tasks of `queue`. */
export function lovageWorker(queue: string, concurrency: number): readonly string[] {
  return [
    ...[CLI, 'worker', '-A', LOVAGE, '--queues', queue],
    ...['--concurrency', String(concurrency), '--loglevel', 'warn'],
  ];
}

function subject(file: string): string {
  return new URL(`../subjects/${file}`, import.meta.url).pathname;
}
