import type { CreateIo } from './create-io.js';

/** This process, as the command sees it. */
export function processIo(): CreateIo {
  return {
    stdin: process.stdin,
    stdout: process.stdout,
    stderr: process.stderr,
    env: process.env,
    cwd: process.cwd(),
  };
}
