import { existsSync } from 'node:fs';
import path from 'node:path';
import { LovageError, expected, findAppFile } from '@lovage/core';
import { LOG_LEVELS } from '@lovage/worker';
import { appOption } from '../app-options.js';
import type { CliIo } from '../cli-io.js';
import { cliVersion } from '../cli-version.js';
import { defineCommand } from '../command.js';
import { claimDevFolder, devFolderOf } from '../dev/dev-folder.js';
import { startEmbeddedPostgres, type EmbeddedPostgres } from '../dev/embedded-postgres.js';
import type { TaskSummary } from '../dev/protocol.js';
import { Supervisor } from '../dev/supervisor.js';
import { servicesIn } from '../dev/use-dev.js';
import type { ExitName } from '../exit-codes.js';
import { choiceOption } from '../option-values.js';
import { alignColumns } from '../table.js';
import { stderrOf } from '../terminal.js';

/** `lovage dev`: a database, and a worker on it that runs the newest code, until it is told to stop. */
export const command = defineCommand({
  build: (parser) =>
    appOption(parser)
      .options({
        port: {
          type: 'string',
          requiresArg: true,
          describe: "The database's port; else that of last time, or a free one",
        },
        loglevel: {
          alias: 'l',
          type: 'string',
          requiresArg: true,
          default: 'info',
          describe: `One of ${LOG_LEVELS.join(', ')}`,
        },
      })
      .example('$0 dev', 'The app in ./app.ts, ./app.js …; data in ./.lovage')
      .example('$0 call math.divide 1 2 --wait', 'In another terminal: finds it by itself')
      .example('$0 dev -A ./src/app.ts --port 5433', 'Another app, and always the same port'),

  run: async (options, io) => {
    const loglevel = choiceOption(options.loglevel, LOG_LEVELS, '--loglevel');
    const port = portOption(options.port);
    const { colors, line } = stderrOf(io);
    const say = (text: string): void => line(`${colors.dim('lovage dev:')} ${text}`);
    // In the wrong folder no database is made.
    findAppFile(options.app, io);
    const dev = claimDevFolder(devFolderOf(io.cwd));
    const signals = listenToSignals(io);
    const services = servicesIn(io.env).join(' and ');
    if (services !== '') {
      const warning = `the environment sets ${services}: lovage dev uses its own database, other commands in such a terminal what is set`;
      say(colors.yellow(warning));
    }
    let database: EmbeddedPostgres | undefined;
    try {
      database = await startEmbeddedPostgres({ folder: dev.folder, port, signal: signals.first, onProgress: say });
      dev.publish(database.url);
      return await supervise(database, {
        signals,
        supervisor: (url) =>
          new Supervisor({
            app: options.app,
            loglevel,
            cwd: io.cwd,
            env: io.env,
            url,
            say,
            onFirstLoaded: (tasks) => {
              for (const text of describeDev({ url, data: dev.folder, app: options.app, tasks }, io)) line(text);
            },
          }),
      });
    } catch (error) {
      if (signals.first.aborted && error === signals.first.reason) return 'ok';
      throw error;
    } finally {
      await database?.stop();
      dev.release();
      signals.end();
    }
  },
});

interface Supervision {
  readonly signals: StopSignals;
  readonly supervisor: (url: string) => Supervisor;
}

/** Until a signal; rejects if the database ends before that. */
async function supervise(database: EmbeddedPostgres, { signals, supervisor }: Supervision): Promise<ExitName> {
  const workers = supervisor(database.url);
  let failure: string | null = null;
  signals.onSignal((signal, again) => workers.stop(signal, { now: again }));
  void database.ended.then((reason) => {
    if (reason === null) return;
    failure = reason;
    workers.stop('its database has ended', { now: true });
  });
  const end = await workers.run();
  if (failure !== null) throw new LovageError('LOVAGE_RESULTS_UNAVAILABLE', failure);
  return end;
}

interface StopSignals {
  /** Aborts at the first. */
  readonly first: AbortSignal;
  /** Called at each; also for one that came before. */
  onSignal(listener: (signal: NodeJS.Signals, again: boolean) => void): void;
  end(): void;
}

function listenToSignals(io: CliIo): StopSignals {
  const first = new AbortController();
  let came: NodeJS.Signals | null = null;
  let listener: (signal: NodeJS.Signals, again: boolean) => void = () => undefined;
  const end = io.onStopSignal(
    (signal) => {
      const again = came !== null;
      came ??= signal;
      first.abort();
      listener(signal, again);
    },
    { hangUp: true },
  );
  return {
    first: first.signal,
    onSignal: (added) => {
      listener = added;
      if (came !== null) added(came, false);
    },
    end,
  };
}

interface DevBanner {
  readonly url: string;
  /** Where the data is. */
  readonly data: string;
  /** As -A. */
  readonly app: string;
  readonly tasks: readonly TaskSummary[];
}

/** The password is shown, as nowhere else: this database is of this machine, for development, and its URL is there to be copied. */
function describeDev({ url, data, app, tasks }: DevBanner, io: CliIo): readonly string[] {
  const { colors } = stderrOf(io);
  const at = app === 'app' ? '' : ` -A ${app}`;
  const rows = [
    [colors.dim('broker'), url],
    [colors.dim('results'), url],
    [colors.dim('data'), placeOf(data, io.cwd)],
    [colors.dim('call'), colors.cyan(callOf(tasks[0], at))],
    [colors.dim('shell'), colors.cyan(`npx lovage shell${at}`)],
    [colors.dim('reload'), 'when a file of the app changes, once running tasks have ended; Ctrl-C stops'],
  ];
  return [
    '',
    ` ${colors.bold(colors.green('lovage dev'))} ${cliVersion()}`,
    '',
    ...alignColumns(rows).map((text) => `   ${text}`),
    '',
  ];
}

/** Where the data of a `.lovage` folder is: in it, but for root. See startEmbeddedPostgres. */
function placeOf(folder: string, cwd: string): string {
  const shown = path.relative(cwd, folder);
  if (existsSync(path.join(folder, 'postgres'))) return `${shown}, kept between runs`;
  return `in the folder that ${path.join(shown, 'postgres.txt')} names, kept between runs`;
}

/** `npx lovage call math.divide x y --wait`: a command that runs as it is, if not to a good end. */
function callOf(task: TaskSummary | undefined, at: string): string {
  if (task === undefined) return 'no task yet: name their packages with app.autodiscover([…])';
  return ['npx lovage call', task.name, ...(task.params ?? ['…']), `--wait${at}`].join(' ');
}

function portOption(text: string | undefined): number | null {
  if (text === undefined) return null;
  if (/^\d{1,5}$/.test(text) && Number(text) >= 1 && Number(text) <= 65_535) return Number(text);
  throw new LovageError('LOVAGE_USAGE', expected('--port', 'an integer from 1 to 65535', text));
}
