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

/** Commands of two words that share the first. */
export interface CommandGroup {
  /** The first word. */
  readonly usage: string;
  readonly describe: string;
  /** Their usage begins with the second word. */
  readonly commands: readonly CommandEntry[];
}

/** Every command. A module is loaded when its command is used, so that `--help` is fast. */
export const COMMANDS: readonly (CommandEntry | CommandGroup)[] = [
  {
    usage: 'dev',
    describe: 'Run tasks on a database of its own, with the newest code',
    load: () => import('./commands/dev.js'),
  },
  { usage: 'worker', describe: 'Run tasks', load: () => import('./commands/worker.js') },
  {
    usage: 'relay',
    describe: 'Send what waits in the outbox, where no worker does',
    load: () => import('./commands/relay.js'),
  },
  { usage: 'migrate', describe: 'Create or upgrade the database schema', load: () => import('./commands/migrate.js') },
  {
    usage: 'maintain',
    describe: 'Delete old results, make and drop partitions, once',
    load: () => import('./commands/maintain.js'),
  },
  { usage: 'call <task> [args..]', describe: 'Send a task', load: () => import('./commands/call.js') },
  { usage: 'result <id>', describe: "Show a task's record", load: () => import('./commands/result.js') },
  {
    usage: 'retry <ids..>',
    describe: 'Run tasks that failed once more',
    load: () => import('./commands/retry.js'),
  },
  {
    usage: 'revoke <ids..>',
    describe: 'End tasks REVOKED, wherever they are',
    load: () => import('./commands/revoke.js'),
  },
  {
    usage: 'scheduled',
    describe: 'Show or cancel the tasks that wait for their time',
    commands: [
      {
        usage: 'list',
        describe: 'List the tasks that wait for their time, soonest first',
        load: () => import('./commands/scheduled-list.js'),
      },
      {
        usage: 'cancel <ids..>',
        describe: 'End tasks REVOKED before their time',
        load: () => import('./commands/scheduled-cancel.js'),
      },
    ],
  },
  { usage: 'list', describe: 'List the tasks of the app', load: () => import('./commands/list.js') },
  {
    usage: 'status',
    describe: 'Check the broker, the database and the queues',
    load: () => import('./commands/status.js'),
  },
  { usage: 'purge', describe: 'Delete the messages that wait in queues', load: () => import('./commands/purge.js') },
  {
    usage: 'dead',
    describe: 'See to the messages that nobody can run',
    commands: [
      {
        usage: 'list',
        describe: 'List dead letters, oldest first',
        load: () => import('./commands/dead-list.js'),
      },
      {
        usage: 'show <ids..>',
        describe: 'Show all that is known of dead letters',
        load: () => import('./commands/dead-show.js'),
      },
      {
        usage: 'requeue [ids..]',
        describe: 'Have dead letters run once more',
        load: () => import('./commands/dead-requeue.js'),
      },
      {
        usage: 'purge [ids..]',
        describe: 'Delete dead letters',
        load: () => import('./commands/dead-purge.js'),
      },
    ],
  },
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

/** What is typed to run each command: a word, or two. */
export function commandNames(): readonly string[] {
  return COMMANDS.flatMap((node) =>
    'load' in node ? [wordOf(node)] : node.commands.map((entry) => `${wordOf(node)} ${wordOf(entry)}`),
  );
}

/** The first word of a command's usage. */
export function wordOf({ usage }: { readonly usage: string }): string {
  return usage.split(' ')[0] ?? usage;
}
