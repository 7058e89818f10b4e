import { once } from 'node:events';
import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import type { CliIo } from './cli-io.js';

/** Asks on standard error; true for a yes. */
export async function confirmed(question: string, io: CliIo): Promise<boolean> {
  const output = new Writable({
    write: (chunk: Buffer, _encoding, done) => (io.stderr.write(chunk.toString()), done()),
  });
  const prompt = createInterface({ input: io.stdin, output });
  try {
    // Ctrl-D closes the prompt without an answer.
    const answer = await Promise.race([prompt.question(question), once(prompt, 'close').then(() => '')]);
    return /^y(es)?$/i.test(answer.trim());
  } finally {
    prompt.close();
  }
}
