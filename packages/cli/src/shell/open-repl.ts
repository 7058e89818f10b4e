import { once } from 'node:events';
import os from 'node:os';
import path from 'node:path';
import repl from 'node:repl';
import type { CliIo } from '../cli-io.js';
import { stderrOf, stdoutOf } from '../terminal.js';
import type { ShellScope } from './scope-of.js';

export interface ReplOptions {
  readonly scope: ShellScope;
  readonly io: CliIo;
  /** What the prompt shows. */
  readonly title: string;
}

/** A REPL on the terminal, until its user leaves it. Its history is kept in ~/.lovage_history. */
export async function openRepl({ scope, io, title }: ReplOptions): Promise<void> {
  const { colors, line } = stdoutOf(io);
  const names = Object.keys(scope).filter((name) => name !== 'app' && name !== 'tasks');
  line(
    `${colors.bold('lovage shell')}  app, tasks${names.map((name) => `, ${colors.cyan(name)}`).join('')} are in scope; await works; .exit leaves`,
  );
  const server = repl.start({
    prompt: `${title}> `,
    input: io.stdin,
    output: io.stdout,
    useColors: colors.isColorSupported,
    terminal: io.stdout.isTTY === true,
  });
  for (const [key, value] of Object.entries(scope)) {
    Object.defineProperty(server.context, key, { value, configurable: true, writable: true, enumerable: true });
  }
  const history = path.join(os.homedir(), '.lovage_history');
  server.setupHistory(history, (error) => {
    if (error !== null) stderrOf(io).line(`the history cannot be kept in ${history}: ${error.message}`);
  });
  await once(server, 'exit');
}
