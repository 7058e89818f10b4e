import { createRouter } from '@lovage/core';
import { appOption, jsonOption } from '../app-options.js';
import { defineCommand } from '../command.js';
import type { ExitName } from '../exit-codes.js';
import { alignColumns } from '../table.js';
import { stderrOf, stdoutOf } from '../terminal.js';
import { withApp } from '../with-app.js';

/** `lovage list`: the tasks that an app has. Connects to nothing. */
export const command = defineCommand({
  build: (parser) =>
    jsonOption(appOption(parser))
      .example('$0 list', 'The tasks of ./app')
      .example('$0 list -A ./src/app.ts --json', 'In a script'),

  run: (options, io) =>
    withApp(options.app, io, async (app): Promise<ExitName> => {
      const { settings, tasks } = await app.load();
      const queueOf = createRouter(settings);
      const rows = tasks.list().map((task) => ({
        name: task.name,
        queue: queueOf(task.name, task.queue),
        params: task.params,
        options: { ignoreResult: task.ignoreResult, retry: task.retry === null ? null : { max: task.retry.max } },
        class: task.taskClass.name,
      }));
      const { line, colors } = stdoutOf(io);
      if (options.json) {
        line(JSON.stringify(rows));
        return 'ok';
      }
      if (rows.length === 0) {
        stderrOf(io).line('this app has no tasks: name their packages with app.autodiscover([…])');
        return 'ok';
      }
      const header = ['TASK', 'QUEUE', 'PARAMS', 'CLASS', 'OPTIONS'].map((title) => colors.dim(title));
      const cells = rows.map((row) => [
        colors.cyan(row.name),
        row.queue,
        row.params === null ? colors.dim('-') : row.params.join(', '),
        row.class,
        describeOptions(row.options),
      ]);
      for (const text of alignColumns([header, ...cells])) line(text);
      return 'ok';
    }),
});

interface ShownOptions {
  readonly ignoreResult: boolean;
  readonly retry: { readonly max: number } | null;
}

function describeOptions({ ignoreResult, retry }: ShownOptions): string {
  return [ignoreResult ? 'ignoreResult' : '', retry === null ? '' : `retry up to ${retry.max}`]
    .filter(Boolean)
    .join(', ');
}
