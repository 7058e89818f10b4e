import path from 'node:path';
import type { AppSource } from '@lovage/worker';

/** What a thread of a worker loads, and the app and its tasks with it: see AppSource. */
export { createJitiLoader as createLoader } from './jiti-loader.js';

/** What was built, wherever this stands: a thread runs no TypeScript until it has this. */
const BUILT = path.join(__dirname, '..', 'dist', 'thread-loader.js');

/** The app that -A names, for the threads of a worker. */
export function appSourceOf(spec: string, cwd: string): AppSource {
  return { app: path.resolve(cwd, spec), loader: BUILT };
}
