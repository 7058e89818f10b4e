import { readFileSync } from 'node:fs';

/** Code of a page: a Markdown block with its language. */
export interface Block {
  readonly language: string;
  readonly code: string;
}

/** The blocks of a Markdown file, in order; those without a language are left out. */
export function blocksOf(file: string): readonly Block[] {
  const text = readFileSync(file, 'utf8');
  return [...text.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)]
    .map(([, language = '', code = '']) => ({ language, code }))
    .filter(({ language }) => language !== '');
}

/** A command of a `console` block, with what stands below it. */
export interface Step {
  readonly command: string;
  readonly shown: string;
}

export function stepsOf(code: string): readonly Step[] {
  return code
    .split(/^\$ /m)
    .slice(1)
    .map((step) => ({ command: step.slice(0, step.indexOf('\n')), shown: step.slice(step.indexOf('\n') + 1) }));
}

/** In output shown, `…` stands for any text of one line, a line of `…` alone for any lines, and spaces for any white space. */
export function expectShown({ command, shown }: Step, output: string): void {
  expect(`$ ${command}\n${squeeze(output)}`).toMatch(outputPattern(`$ ${command}\n${squeeze(shown)}`));
}

/** Columns are as wide as what stands in them, ids too. */
function squeeze(text: string): string {
  return text
    .replace(/[^\S\n]+/g, ' ')
    .replace(/ $/gm, '')
    .trimEnd();
}

function outputPattern(shown: string): RegExp {
  const literal = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  const line = (text: string): string => (text === '…' ? '[\\s\\S]*' : text.split('…').map(literal).join('.*'));
  return new RegExp(`^${shown.split('\n').map(line).join('\\n')}$`);
}
