import type { ScheduledTask } from '@lovage/core';
import { appOption, jsonOption, retryOption } from '../app-options.js';
import { defineCommand } from '../command.js';
import type { ExitName } from '../exit-codes.js';
import { countOption } from '../option-values.js';
import { alignColumns } from '../table.js';
import { stderrOf, stdoutOf, type Colors } from '../terminal.js';
import { retryOf, showConnectionRetries, withApp } from '../with-app.js';

const DEFAULT_LIMIT = 100;
const ARGS_WIDTH = 60;

/** `lovage scheduled list`: the tasks that wait for their time. */
export const command = defineCommand({
  build: (parser) =>
    retryOption(jsonOption(appOption(parser)))
      .options({
        task: { alias: 't', type: 'string', requiresArg: true, describe: 'Only tasks of this name' },
        queue: { alias: 'Q', type: 'string', requiresArg: true, describe: 'Only tasks for this queue' },
        limit: {
          type: 'string',
          requiresArg: true,
          default: String(DEFAULT_LIMIT),
          describe: 'Show so many at most',
        },
      })
      .example('$0 scheduled list', 'Those that are due next')
      .example('$0 scheduled list --task mail.remind --limit 1000', 'Those of one task')
      .example(`$0 scheduled list --json | jq -r '.[].id'`, 'In a script'),

  run: (options, io) => {
    const limit = countOption(options.limit, '--limit') ?? DEFAULT_LIMIT;
    return withApp(options.app, io, async (app): Promise<ExitName> => {
      showConnectionRetries(app, io);
      await app.connectResults(retryOf(options));
      // One more than is shown says whether there are more.
      const found = await app.scheduled.list({ task: options.task, queue: options.queue, limit: limit + 1 });
      const shown = found.slice(0, limit);
      const { line, colors } = stdoutOf(io);
      if (options.json) line(JSON.stringify(shown));
      else if (shown.length === 0) stderrOf(io).line('no task waits for its time');
      else for (const text of describe(shown, colors)) line(text);
      if (found.length > limit) stderrOf(io).line(`more wait than these ${limit}: see --limit`);
      return 'ok';
    });
  },
});

function describe(tasks: readonly ScheduledTask[], colors: Colors): string[] {
  const header = ['DUE', 'ID', 'TASK', 'QUEUE', 'RETRIES', 'ARGS'].map((title) => colors.dim(title));
  const rows = tasks.map(({ eta, id, task, queue, retries, argsText }) => [
    eta.toISOString(),
    id,
    colors.cyan(task),
    queue,
    String(retries).padStart('RETRIES'.length),
    clip(argsText),
  ]);
  return alignColumns([header, ...rows]);
}

function clip(text: string): string {
  return text.length <= ARGS_WIDTH ? text : `${text.slice(0, ARGS_WIDTH - 1)}…`;
}
