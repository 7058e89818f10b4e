import {
  LovageError,
  deadQueueOf,
  mainQueueOf,
  workerQueues,
  type Lovage,
  type Message,
  type QueueInspector,
} from '@lovage/core';
import type { Argv } from 'yargs';
import type { CliIo } from '../cli-io.js';
import { inspectorOf } from '../inspector-of.js';
import { namesOption } from '../option-values.js';
import { stderrOf } from '../terminal.js';
import { retryOf } from '../with-app.js';
import { deadLetterOf, type DeadLetter } from './dead-letter.js';

/** `--queues` and `--task`, for every command on dead letters. */
export function deadOptions<T>(parser: Argv<T>) {
  return parser.options({
    queues: {
      alias: 'Q',
      type: 'string',
      requiresArg: true,
      describe: "Those of these queues, as a,b; else of all of the app's",
    },
    task: { alias: 't', type: 'string', requiresArg: true, describe: 'Only those of this task' },
  });
}

/** `[ids..]` and `--all`, for commands that do something to dead letters. */
export function selectionOptions<T>(parser: Argv<T>) {
  return parser
    .positional('ids', { type: 'string', array: true, default: undefined, describe: 'As `dead list` shows them' })
    .option('all', { type: 'boolean', default: false, describe: 'All of them (of that task, of those queues)' });
}

/** Which dead letters; all that is given must hold. */
export interface Selection {
  /** null: whatever their ids. */
  readonly ids: ReadonlySet<string> | null;
  readonly task: string | undefined;
}

/** LOVAGE_USAGE unless either ids or --all are given: nobody means all by giving nothing. */
export function selectionOf(flags: {
  readonly ids: readonly (string | undefined)[] | undefined;
  readonly _: readonly (string | number)[];
  readonly all: boolean;
  readonly task: string | undefined;
}): Selection {
  // yargs puts an undefined into the array where there is none; after the two words of the command stands what followed a `--`.
  const ids = new Set(
    [...(flags.ids ?? []), ...flags._.slice(2)].flatMap((id) => (id === undefined ? [] : [String(id)])),
  );
  if (ids.size > 0 === flags.all) {
    throw new LovageError(
      'LOVAGE_USAGE',
      `expected ids of dead letters or --all, got ${flags.all ? 'both' : 'neither'}`,
    );
  }
  return { ids: flags.all ? null : ids, task: flags.task };
}

/** The dead-letter queues that a command is about. */
export interface DeadQueues {
  readonly inspector: QueueInspector;
  /** With how many messages each holds. Those that nobody has declared yet are left out, unless they were named. */
  readonly queues: readonly { readonly name: string; readonly messages: number }[];
}

/** LOVAGE_UNROUTABLE for a queue that was named and is not there. */
export async function openDeadQueues(
  app: Lovage,
  options: { readonly queues: string | undefined; readonly noRetry: boolean },
): Promise<DeadQueues> {
  const { settings, tasks } = await app.load();
  const inspector = inspectorOf(await app.connectBroker(retryOf(options)));
  const named = namesOption(options.queues, '--queues');
  const names = [
    ...new Set((named ?? workerQueues(settings, tasks.list())).map((name) => deadQueueOf(mainQueueOf(name)))),
  ];
  const depths = await inspector.depths(names);
  const missing = names.filter((_, index) => depths[index] === null);
  if (named !== undefined && missing.length > 0) {
    const message = `the broker has no queue ${missing.join(', ')}: no worker has declared it yet, or the name is wrong`;
    throw new LovageError('LOVAGE_UNROUTABLE', message);
  }
  const queues = names.flatMap((name, index) => {
    const depth = depths[index];
    return depth === null || depth === undefined ? [] : [{ name, messages: depth.messages }];
  });
  return { inspector, queues };
}

/** Shows the chosen letters of all queues to `visitor`, oldest first within each queue. */
export async function visitLetters(
  { inspector, queues }: DeadQueues,
  { ids, task }: Selection,
  visitor: (letter: DeadLetter, message: Message) => Promise<'keep' | 'remove'>,
): Promise<void> {
  for (const { name } of queues) {
    await inspector.visit(name, {}, async (message) => {
      const letter = deadLetterOf(message);
      const isChosen = (ids === null || ids.has(letter.id)) && (task === undefined || letter.task === task);
      return isChosen ? visitor(letter, message) : 'keep';
    });
  }
}

/** `lovage.dead, slow.dead`; where there is none, that no worker has made one. */
export function namesOf({ queues }: DeadQueues): string {
  return queues.length === 0 ? 'any queue: no worker has declared one yet' : queues.map(({ name }) => name).join(', ');
}

/** Tells which of these ids none of the letters has; true: each has one. */
export function tellMissing(
  ids: Iterable<string>,
  { found, dead, io }: { readonly found: readonly DeadLetter[]; readonly dead: DeadQueues; readonly io: CliIo },
): boolean {
  const missing = [...ids].filter((id) => !found.some((letter) => letter.id === id));
  for (const id of missing) stderrOf(io).line(`${id}: is not in ${namesOf(dead)}`);
  return missing.length === 0;
}
