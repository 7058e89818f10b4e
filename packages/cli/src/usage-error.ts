import { LovageError, nearest } from '@lovage/core';
import { COMMANDS, wordOf } from './commands.js';

export interface UsageContext {
  readonly argv: readonly string[];
  /** The options of the command, without dashes. */
  readonly options: readonly string[];
}

/** What yargs complains of, in our words, with what was probably meant; any other error as it is. */
export function usageErrorOf(error: unknown, { argv, options }: UsageContext): unknown {
  if ((error as { name?: unknown } | null)?.name !== 'YError') return error;
  const [first, second] = argv.filter((word) => !word.startsWith('-'));
  const node = COMMANDS.find((one) => wordOf(one) === first);
  const group = node !== undefined && 'commands' in node ? node : null;
  const entry = group?.commands.find((one) => wordOf(one) === second);
  const named = [node, entry].flatMap((one) => (one === undefined ? [] : [wordOf(one)]));
  const message = (error as Error).message;
  return new LovageError('LOVAGE_USAGE', `${explain()}. Help: ${['lovage', ...named, '--help'].join(' ')}`);

  function explain(): string {
    const unknown = /^Unknown (?:argument|command)s?: (.*)$/m.exec(message)?.[1]?.split(', ') ?? [];
    if (node === undefined && first !== undefined)
      return `unknown command ${first}${meant(first, words(COMMANDS), '')}`;
    if (group !== null && entry === undefined) {
      if (second === undefined) return `expected a command after ${first}: ${words(group.commands).join(', ')}`;
      return `unknown command ${first} ${second}${meant(second, words(group.commands), `${first} `)}`;
    }
    if (unknown.length > 0) return unknown.map(explainUnknown).join('; ');
    const [, flag] = /^Not enough arguments following: (.*)$/m.exec(message) ?? [];
    if (flag !== undefined) return `expected a value after ${dashed(flag)}, got none`;
    if (message.startsWith('Not enough non-option arguments')) return 'an argument is missing';
    return message.trim();
  }

  function explainUnknown(name: string): string {
    const option = argv.map((word) => word.split('=')[0]).find((word) => word === dashed(name) || word === `--${name}`);
    return option !== undefined
      ? `unknown option ${option}${meant(name, options, '--')}`
      : `unexpected argument ${name}`;
  }
}

function words(nodes: readonly { readonly usage: string }[]): string[] {
  return nodes.map(wordOf);
}

function meant(word: string, candidates: readonly string[], prefix: string): string {
  const near = word.length < 2 ? null : nearest(word, candidates);
  return near === null ? '' : ` (did you mean ${prefix}${near}?)`;
}

function dashed(name: string): string {
  return name.length === 1 ? `-${name}` : `--${name}`;
}
