import { isFinalState, reviveWire, type ErrorRecord, type TaskEnd, type TaskRecord } from '@lovage/core';
import { appOption, jsonOption, retryOption } from '../app-options.js';
import { defineCommand } from '../command.js';
import { showValue } from '../show-value.js';
import { alignColumns } from '../table.js';
import { connectToResults, exitOfRecord, waitForEnd, waitOptions } from '../task-end.js';
import { stderrOf, stdoutOf, type Colors } from '../terminal.js';
import { showConnectionRetries, withApp } from '../with-app.js';

/** `lovage result`: shows the record of one task. */
export const command = defineCommand({
  build: (parser) =>
    retryOption(jsonOption(appOption(parser)))
      .positional('id', { type: 'string', demandOption: true, describe: 'The id that `call` or delay() gave' })
      .options({
        wait: { alias: 'w', type: 'boolean', default: false, describe: 'Wait until the task has ended' },
        timeout: { type: 'string', requiresArg: true, describe: "With --wait: how long at most, such as '10s'" },
      })
      .example('$0 result 01a2b3c4-…', 'What became of the task')
      .example('$0 result 01a2b3c4-… --wait --timeout 1m', 'Wait for its end')
      .example('$0 result 01a2b3c4-… --json | jq .result', 'In a script'),

  run: (options, io) => {
    const waiting = waitOptions({ wait: options.wait, timeout: options.timeout });
    return withApp(options.app, io, async (app) => {
      showConnectionRetries(app, io);
      const results = await connectToResults(app, options);
      if (options.wait) await waitForEnd(app.result(options.id), waiting);
      const [record] = await results.find({ ids: [options.id] });
      const { line, colors } = stdoutOf(io);
      if (record === undefined) {
        if (options.json) line(JSON.stringify({ id: options.id, state: null }));
        else stderrOf(io).line(`no record of ${options.id}: unknown, or not finished`);
        return 'noRecord';
      }
      if (options.json) line(JSON.stringify(record));
      else for (const text of describeRecord(record, colors)) line(text);
      return exitOfRecord(record);
    });
  },
});

function describeRecord(record: TaskRecord, colors: Colors): string[] {
  const value = (wire: unknown): string => showValue(reviveWire(wire), { colors, nested: true });
  const argsOf = ({ task, args }: TaskRecord): string | null => {
    if (args !== null) return value(args);
    return task === '' ? null : '(too large to be stored)';
  };
  const ran =
    record.startedAt !== null && record.finishedAt !== null
      ? record.finishedAt.getTime() - record.startedAt.getTime()
      : null;
  const fields: readonly (readonly [string, string | null])[] = [
    ['id', record.id],
    // Not known of a task that was revoked before it came.
    ['task', record.task || null],
    ['state', stateColor(record, colors)],
    ['due', record.scheduledAt?.toISOString() ?? null],
    ['args', argsOf(record)],
    ['kwargs', record.kwargs === null || Object.keys(record.kwargs).length === 0 ? null : value(record.kwargs)],
    ['result', record.state === 'SUCCESS' ? value(record.result) : null],
    ['progress', record.progress === null || isFinalState(record.state) ? null : value(record.progress)],
    ['queue', record.queue || null],
    ['worker', record.worker],
    ['retries', record.retries === 0 ? null : String(record.retries)],
    ['parent', record.parentId],
    ['created', record.createdAt.toISOString()],
    ['finished', record.finishedAt?.toISOString() ?? null],
    ['history', record.history.map(describeEnd).join('\n') || null],
    ['runtime', ran === null ? null : `${(ran / 1000).toFixed(3)} s`],
  ];
  const rows = fields.flatMap(([name, text]) =>
    text === null ? [] : text.split('\n').map((part, index) => [index === 0 ? colors.dim(name) : '', part]),
  );
  return [...alignColumns(rows), ...describeError(record.error, colors)];
}

/** An end that a requeue took back, in a line. */
function describeEnd({ state, finishedAt, retries, error }: TaskEnd): string {
  const after = retries === 0 ? '' : ` after ${retries} ${retries === 1 ? 'retry' : 'retries'}`;
  const [reason] = error === null ? [] : `: ${error.type}: ${error.message}`.split('\n');
  return `${state} at ${finishedAt.toISOString()}${after}${reason ?? ''}`;
}

function stateColor({ state }: TaskRecord, colors: Colors): string {
  if (state === 'SUCCESS') return colors.green(state);
  return state === 'FAILURE' ? colors.red(state) : colors.yellow(state);
}

function describeError(error: ErrorRecord | null | undefined, colors: Colors): string[] {
  if (error === null || error === undefined) return [];
  const frames = (error.stack ?? '').split('\n').filter((text) => /^\s+at /.test(text));
  const causes = describeError(error.cause, colors)
    .filter((text) => text !== '')
    .map((text, index) => (index === 0 ? `caused by ${text}` : text));
  return ['', `${colors.red(error.type)}: ${error.message}`, ...frames.map((frame) => colors.dim(frame)), ...causes];
}
