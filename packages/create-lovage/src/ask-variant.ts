import { createInterface } from 'node:readline/promises';
import { CreateError } from './create-error.js';
import type { CreateIo } from './create-io.js';
import { CHOICES, type ChoiceName, TITLES, type Variant } from './variant.js';

const QUESTIONS: Readonly<Record<ChoiceName, string>> = { language: 'Language', modules: 'Modules' };

/**
 * What flags have not said, asked on the terminal, one question each. An answer is a value's name or title (`typescript`, `ts`), or the beginning of
 * one, in any case; an empty one takes the default; any other is asked for again.
 *
 * @throws CreateError `abandoned` at Ctrl-C, Ctrl-D and the end of the input.
 */
export async function askVariant(chosen: Partial<Variant>, { stdin, stdout }: CreateIo): Promise<Variant> {
  const terminal = createInterface({ input: stdin, output: stdout, terminal: true });
  // Not question(): it never settles when the terminal is closed, and loses what is typed before it is called.
  const lines = terminal[Symbol.asyncIterator]();
  try {
    return {
      language: chosen.language ?? (await ask('language')),
      modules: chosen.modules ?? (await ask('modules')),
    };
  } finally {
    terminal.close();
  }

  async function ask<Name extends ChoiceName>(name: Name): Promise<Variant[Name]> {
    const values = CHOICES[name];
    const [first] = values;
    terminal.setPrompt(`${QUESTIONS[name]}: ${values.map((value) => TITLES[value][0]).join(' or ')}? (${first}) `);
    for (;;) {
      terminal.prompt();
      const line = await lines.next();
      if (line.done === true) {
        stdout.write('\n');
        throw new CreateError('abandoned', 'nothing was written');
      }
      const answer = line.value.trim().toLowerCase();
      const value = answer === '' ? first : values.find((one) => isMeant(one, answer));
      if (value !== undefined) return value;
      stdout.write(`Expected ${values.join(' or ')}, got ${JSON.stringify(line.value)}.\n`);
    }
  }
}

/** Whether an answer, in lower case, is the beginning of a value's name or of one of its titles. */
function isMeant(value: Variant[ChoiceName], answer: string): boolean {
  return [value, ...TITLES[value]].some((name) => name.toLowerCase().startsWith(answer));
}
