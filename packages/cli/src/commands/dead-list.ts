import { appOption, jsonOption, retryOption } from '../app-options.js';
import { defineCommand } from '../command.js';
import { lineOf, type DeadLetter } from '../dead/dead-letter.js';
import { deadOptions, namesOf, openDeadQueues, visitLetters } from '../dead/dead-queues.js';
import type { ExitName } from '../exit-codes.js';
import { countOption } from '../option-values.js';
import { alignColumns } from '../table.js';
import { stderrOf, stdoutOf, type Colors } from '../terminal.js';
import { showConnectionRetries, withApp } from '../with-app.js';

const DEFAULT_LIMIT = 100;
const REASON_WIDTH = 80;

/** `lovage dead list`: the messages that nobody can run. */
export const command = defineCommand({
  build: (parser) =>
    deadOptions(retryOption(jsonOption(appOption(parser))))
      .option('limit', {
        type: 'string',
        requiresArg: true,
        default: String(DEFAULT_LIMIT),
        describe: 'Show so many at most',
      })
      .example('$0 dead list', "Those of all queues of the app's workers")
      .example('$0 dead list -Q slow --task mail.send --json', 'Those of one queue and one task, in full'),

  run: (options, io) => {
    const limit = countOption(options.limit, '--limit') ?? DEFAULT_LIMIT;
    return withApp(options.app, io, async (app): Promise<ExitName> => {
      showConnectionRetries(app, io);
      const dead = await openDeadQueues(app, options);
      const shown: DeadLetter[] = [];
      let found = 0;
      await visitLetters(dead, { ids: null, task: options.task }, async (letter) => {
        found += 1;
        if (shown.length < limit) shown.push(letter);
        return 'keep';
      });
      const { line, colors } = stdoutOf(io);
      if (options.json) line(JSON.stringify(shown));
      else if (shown.length === 0) stderrOf(io).line(`no dead letter is in ${namesOf(dead)}`);
      else for (const text of describe(shown, colors)) line(text);
      if (found > shown.length) stderrOf(io).line(`these are ${limit} of ${found}: see --limit`);
      return 'ok';
    });
  },
});

function describe(letters: readonly DeadLetter[], colors: Colors): string[] {
  const header = ['SINCE', 'ID', 'TASK', 'QUEUE', 'REASON'].map((title) => colors.dim(title));
  const rows = letters.map(({ time, id, task, queue, reason }) => [
    lineOf(time),
    lineOf(id),
    colors.cyan(lineOf(task)),
    queue,
    clip(lineOf(reason)),
  ]);
  return alignColumns([header, ...rows]);
}

function clip(text: string): string {
  return text.length <= REASON_WIDTH ? text : `${text.slice(0, REASON_WIDTH - 1)}…`;
}
