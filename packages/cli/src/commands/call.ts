import { LovageError, nearest, type CallOptions, type Lovage, type TaskRegistry } from '@lovage/core';
import { appOption, jsonOption, retryOption } from '../app-options.js';
import { parseCallArgument, parseKwargs } from '../call-arguments.js';
import { defineCommand } from '../command.js';
import type { ExitName } from '../exit-codes.js';
import { countdownOption, etaOption, instantOption, priorityOption } from '../option-values.js';
import { connectToResults, exitOfRecord, waitForEnd, waitOptions } from '../task-end.js';
import { stdoutOf } from '../terminal.js';
import { showValue } from '../show-value.js';
import { retryOf, showConnectionRetries, withApp } from '../with-app.js';

/** `lovage call`: sends one task, and waits for its end if asked to. */
export const command = defineCommand({
  build: (parser) =>
    retryOption(jsonOption(appOption(parser)))
      .positional('task', { type: 'string', demandOption: true, describe: 'Its name, such as math.divide' })
      .positional('args', {
        type: 'string',
        array: true,
        default: [] as string[],
        defaultDescription: 'none',
        describe: 'JSON each; what is not JSON is text. After --, words may begin with a dash',
      })
      .options({
        kwargs: { alias: 'k', type: 'string', requiresArg: true, describe: 'Keyword arguments: a JSON object' },
        queue: { alias: 'Q', type: 'string', requiresArg: true, describe: 'Send it to this queue' },
        id: { type: 'string', requiresArg: true, describe: "The task's id; a new UUIDv7 if absent" },
        expires: { type: 'string', requiresArg: true, describe: "Not to be run after: '5m' from now, or an ISO time" },
        countdown: {
          type: 'string',
          requiresArg: true,
          describe: "Not to be run before so long from now, such as '5m'",
        },
        eta: {
          type: 'string',
          requiresArg: true,
          describe: 'Not to be run before this ISO time with its zone; a past one is due now',
        },
        track: { type: 'boolean', default: false, describe: 'Its record is PENDING from the start' },
        priority: { type: 'string', requiresArg: true, describe: '0 to 255, for a queue with priorities' },
        wait: { alias: 'w', type: 'boolean', default: false, describe: 'Wait for the end, and print the result' },
        timeout: { type: 'string', requiresArg: true, describe: "With --wait: how long at most, such as '10s'" },
      })
      .example('$0 call math.divide 1 2 --wait', 'Prints 0.5')
      .example(`$0 call mail.send Ada '{"urgent": true}'`, 'A text and an object')
      .example(`$0 call math.divide --kwargs '{"x": 1, "y": 2}'`, 'By name')
      .example('$0 call math.negate -- -1e3', 'A word that begins with a dash')
      .example('$0 call math.divide 1 2 --countdown 5m', 'In five minutes; see lovage scheduled list')
      .example('$0 call math.divide 1 2 --eta 2026-11-24T10:00:00Z', 'At an instant')
      .example('$0 call py.resize 7 --queue images', 'A task whose code is elsewhere'),

  run: (options, io) => {
    const words = [...options.args, ...options._.slice(1).map(String)];
    const args = words.map(parseCallArgument);
    const waiting = waitOptions({ wait: options.wait, timeout: options.timeout });
    const due = dueOptions(options);
    const sending = {
      ...due,
      ...(options.track && { track: true }),
      ...(options.queue !== undefined && { queue: options.queue }),
      ...(options.id !== undefined && { id: options.id }),
      ...(options.kwargs !== undefined && { kwargs: parseKwargs(options.kwargs) }),
      ...(options.expires !== undefined && { expires: instantOption(options.expires, '--expires') }),
      ...(options.priority !== undefined && { priority: priorityOption(options.priority) }),
    };
    return withApp(options.app, io, async (app): Promise<ExitName> => {
      showConnectionRetries(app, io);
      const { tasks } = await app.load();
      const handle = handleOf(app, { tasks, name: options.task, elsewhere: options.queue !== undefined });
      // What waits for its time is written, not sent: that takes no broker.
      if (due === null) await app.connectBroker(retryOf(options));
      if (due !== null || options.track) await app.connectResults(retryOf(options));
      // Before the call, so that no task is sent whose end nobody could be told.
      const results = options.wait ? await connectToResults(app, options) : null;
      const sent = await handle.with(sending).delay(...args);
      const { line, colors } = stdoutOf(io);
      if (results === null) {
        line(options.json ? JSON.stringify({ id: sent.id, task: options.task }) : sent.id);
        return 'ok';
      }
      if (!options.json) {
        line(showValue(await sent.get(waiting), { colors }));
        return 'ok';
      }
      await waitForEnd(sent, waiting);
      const [record] = await results.find({ ids: [sent.id] });
      line(JSON.stringify(record ?? { id: sent.id, state: null }));
      return record === undefined ? 'noRecord' : exitOfRecord(record);
    });
  },
});

interface DueFlags {
  readonly countdown?: string | undefined;
  readonly eta?: string | undefined;
}

/** null: at once. */
function dueOptions(flags: DueFlags): Pick<CallOptions, 'countdown' | 'eta'> | null {
  const countdown = countdownOption(flags.countdown);
  if (flags.eta === undefined) return countdown === undefined ? null : { countdown };
  if (countdown === undefined) return { eta: etaOption(flags.eta) };
  throw new LovageError('LOVAGE_USAGE', 'expected --countdown or --eta, got both');
}

function handleOf(
  app: Lovage,
  call: { readonly tasks: TaskRegistry; readonly name: string; readonly elsewhere: boolean },
) {
  const definition = call.tasks.get(call.name);
  if (definition === undefined && !call.elsewhere) {
    const names = call.tasks.list().map((task) => task.name);
    throw new LovageError('LOVAGE_NOT_REGISTERED', unknownTask(call.name, names));
  }
  // By its name even where the class is at hand: what was typed in a shell has no types to check.
  return app.task<unknown[], unknown>(call.name);
}

function unknownTask(name: string, names: readonly string[]): string {
  const near = nearest(name, names);
  const known = near === null ? 'lovage list shows those it has.' : `did you mean ${near}?`;
  return `no task of this app is named '${name}': ${known} For a task whose code is elsewhere, name its queue: --queue NAME`;
}
