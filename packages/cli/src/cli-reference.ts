import { commandNames } from './commands.js';
import { EXIT_CODES } from './exit-codes.js';

/** What docs/reference/cli.md shows of each command and of the exit codes, as Markdown. `helpOf` gives what `lovage <command> --help` prints. */
export async function renderCliReference(helpOf: (command: string) => Promise<string>): Promise<string> {
  const codes = Object.values(EXIT_CODES).map(({ code, means }) => `| ${code} | ${means} |`);
  const sections = ['## Exit codes', '', '| Code | Meaning |', '| --- | --- |', ...codes];
  for (const name of commandNames()) {
    sections.push('', `## lovage ${name}`, '', '```text', (await helpOf(name)).trim(), '```');
  }
  return sections.join('\n');
}
