import type { Argv } from 'yargs';

/** `<ids..>`, for commands that do one thing to many tasks. */
export function idsPositional<T>(parser: Argv<T>) {
  return parser.positional('ids', {
    type: 'string',
    array: true,
    demandOption: true,
    // Without it the help shows `[default: []]`.
    default: undefined,
    describe: 'The ids that `call` or delay() gave',
  });
}

/** Each id once. `words`: how many name the command; those after them followed a `--`. */
export function idsOf(
  flags: { readonly ids: readonly string[]; readonly _: readonly (string | number)[] },
  { words }: { readonly words: number },
): readonly string[] {
  return [...new Set([...flags.ids, ...flags._.slice(words).map(String)])];
}
