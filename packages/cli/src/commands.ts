import type { Argv } from 'yargs';
import type { CliIo } from './cli-io.js';
import type { ExitName } from './exit-codes.js';

/** A command whose options only it knows: what its `build` declares, yargs gives to its `run`. */
interface AnyCommand {
  build(parser: Argv): unknown;
  run(options: never, io: CliIo): Promise<ExitName>;
}

export interface CommandEntry {
  /** The name and its positionals, as yargs writes them. */
  readonly usage: string;
  readonly describe: string;
  readonly load: () => Promise<{ readonly command: AnyCommand }>;
}

/** Every command. A module is loaded when its command is used, so that `--help` is fast. */
export const COMMANDS: readonly CommandEntry[] = [
  { usage: 'worker', describe: 'Run tasks', load: () => import('./commands/worker.js') },
  { usage: 'migrate', describe: 'Create or upgrade the database schema', load: () => import('./commands/migrate.js') },
  { usage: 'call <task> [args..]', describe: 'Send a task', load: () => import('./commands/call.js') },
  { usage: 'result <id>', describe: "Show a task's record", load: () => import('./commands/result.js') },
  { usage: 'list', describe: 'List the tasks of the app', load: () => import('./commands/list.js') },
  {
    usage: 'status',
    describe: 'Check the broker, the database and the queues',
    load: () => import('./commands/status.js'),
  },
  { usage: 'purge', describe: 'Delete the messages that wait in queues', load: () => import('./commands/purge.js') },
  {
    usage: 'shell',
    describe: 'Open a REPL with the app and its tasks in scope',
    load: () => import('./commands/shell.js'),
  },
  {
    usage: 'run <script> [args..]',
    describe: 'Run a script in TypeScript or JavaScript',
    load: () => import('./commands/run.js'),
  },
];

/** The first word of a command's usage. */
export function commandName(entry: CommandEntry): string {
  return entry.usage.split(' ')[0] ?? entry.usage;
}
