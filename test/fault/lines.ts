import { writeSync } from 'node:fs';
import { createInterface } from 'node:readline';

/** One JSON document a line, at once: whoever dies next has said it. */
export function say(document: object): void {
  writeSync(1, `${JSON.stringify(document)}\n`);
}

/** Calls back with each document that the supervisor sends; ends this process when the supervisor has gone. */
export function listen(onDocument: (document: unknown) => void): void {
  createInterface({ input: process.stdin })
    .on('line', (line) => onDocument(JSON.parse(line)))
    .on('close', () => process.exit(1));
}
