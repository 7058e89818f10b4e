import { isLovageError, type EventBus, type LoadedApp, type Lovage } from '@lovage/core';
import {
  LOG_LEVELS,
  LoopWatch,
  createLogger,
  guardProcess,
  logEvents,
  type LoggerOptions,
  type LoopDeath,
} from '@lovage/worker';
import type { Argv } from 'yargs';
import { describeBanner, type ServiceBanner } from './banner.js';
import type { CliIo } from './cli-io.js';
import type { ExitName } from './exit-codes.js';
import { useDev } from './dev/use-dev.js';
import { exitOf } from './exit-of.js';
import { choiceOption } from './option-values.js';
import { causesOf, framesOf, messageOf } from './report-error.js';
import { showsColor, stderrOf, type Colors } from './terminal.js';
import { withPreparedApp, type AppUse } from './with-app.js';

const LOG_FORMATS = ['text', 'json'] as const;

type LogOptions = Omit<LoggerOptions, 'stream'>;

export type Logger = ReturnType<typeof createLogger>;

/** `--loglevel` and `--logformat`. */
export function logOptions<T>(parser: Argv<T>) {
  return parser.options({
    loglevel: {
      alias: 'l',
      type: 'string',
      requiresArg: true,
      default: 'info',
      describe: `One of ${LOG_LEVELS.join(', ')}`,
    },
    logformat: {
      type: 'string',
      requiresArg: true,
      default: 'text',
      describe: 'text, or json: one document a line',
    },
  });
}

export interface ServiceLog {
  readonly logger: Logger;
  readonly format: (typeof LOG_FORMATS)[number];
  readonly options: LogOptions;
}

export interface ServiceFlags {
  readonly app: string;
  readonly loglevel: string;
  readonly logformat: string;
}

/** What a service is given to run with. */
export interface ServiceHost {
  readonly app: Lovage;
  readonly loaded: LoadedApp;
  readonly logger: Logger;
  /** Shows what is about to run: to a person with these rows, to a machine as a log line. */
  readonly announce: <Banner extends ServiceBanner>(
    banner: Banner,
    rowsOf: (banner: Banner, colors: Colors) => string[][],
  ) => void;
}

/** Something that runs until it is told to stop. */
export interface Service<Report> {
  start(): Promise<unknown>;
  /** Called at every signal; `again`: it is not the first, and nobody waits any longer. What ends first is the report. */
  stop(signal: NodeJS.Signals, options: { readonly again: boolean }): Promise<Report>;
}

/** What a service was started with. */
export interface ServiceRequest {
  readonly flags: ServiceFlags;
  readonly io: CliIo;
  /** As withPreparedApp; absent: the `lovage dev` of this folder is used, if one runs. */
  readonly prepare?: AppUse['prepare'];
  /** Which one of several processes this is, from 1: on every line of its log. */
  readonly process?: number;
  /** Another process says what all of them are. */
  readonly silent?: boolean;
  /** As LoopWatch; absent: a task that blocks this process does not end it. */
  readonly death?: (loaded: LoadedApp) => LoopDeath;
}

/** A command that runs until a signal, with its banner and its log on standard error. Where each line is JSON, so is the error that ends it. */
export function runService(
  name: 'worker' | 'relay',
  { flags, io, prepare, process, silent = false, death }: ServiceRequest,
  run: (host: ServiceHost) => Promise<ExitName>,
): Promise<ExitName> {
  const log = serviceLogger(flags, io, process);
  const { logger, format } = log;
  const announce: ServiceHost['announce'] = (banner, rowsOf) => {
    if (silent) return;
    const { colors, line } = stderrOf(io);
    if (format === 'json') logger.info(`lovage ${name} starting`, { event: `${name}:starting`, ...banner });
    else for (const text of describeBanner(banner, { rows: rowsOf(banner, colors), colors })) line(text);
  };
  // Where each line is JSON, the banner says whose services these are.
  const findDev = (app: Lovage): void => useDev(app, io, { silent: silent || format === 'json' });
  const running = withPreparedApp(flags.app, { io, prepare: prepare ?? findDev }, async (app) => {
    const loaded = await app.load();
    const ends = [logEvents(app.events, logger), guardProcess(logger)];
    if (name === 'worker')
      ends.push(watchLoop(loaded, { events: app.events, io, log: log.options, death: death?.(loaded) ?? null }));
    try {
      return await run({ app, loaded, logger, announce });
    } finally {
      for (const end of ends) end();
    }
  });
  return endAsLogged(running, log, name);
}

/** Where each line is JSON, so is the error that ends it all. */
export async function endAsLogged(
  running: Promise<ExitName>,
  { logger, format }: ServiceLog,
  name: 'worker' | 'relay',
): Promise<ExitName> {
  try {
    return await running;
  } catch (error) {
    if (format !== 'json') throw error;
    logFailure(error, { logger, event: `${name}:failed` });
    return exitOf(error);
  }
}

/** What `--loglevel` and `--logformat` ask for. LOVAGE_USAGE for what they do not take. */
export function serviceLogger(
  flags: Pick<ServiceFlags, 'loglevel' | 'logformat'>,
  io: CliIo,
  process?: number,
): ServiceLog {
  const level = choiceOption(flags.loglevel, LOG_LEVELS, '--loglevel');
  const format = choiceOption(flags.logformat, LOG_FORMATS, '--logformat');
  const color = showsColor(io.stderr, io.env);
  const options = { level, format, color, ...(process !== undefined && { process }) };
  return { format, options, logger: createLogger({ ...options, stream: io.stderr }) };
}

/** Starts a service and stops it at the first signal; one during the start ends that at once. */
export async function runUntilSignal<Report>(io: CliIo, service: Service<Report>): Promise<Report> {
  let signals = 0;
  let unsubscribe = (): void => {};
  try {
    return await new Promise<Report>((resolve, reject) => {
      unsubscribe = io.onStopSignal((signal) => {
        service.stop(signal, { again: ++signals > 1 }).then(resolve, reject);
      });
      service.start().catch((error: Error) => {
        // After a signal nobody waits for the start any more.
        if (signals === 0) reject(error);
      });
    });
  } finally {
    unsubscribe();
  }
}

interface LoopWatching {
  readonly events: EventBus;
  readonly io: CliIo;
  readonly log: LogOptions;
  readonly death: LoopDeath | null;
}

/** The function returned ends it. */
function watchLoop({ settings }: LoadedApp, { events, io, log, death }: LoopWatching): () => void {
  const thresholdMs = settings.worker.blockedLoopWarningMs;
  // A process that is somebody else's is not watched: its loop may be blocked by anything.
  if (thresholdMs === 0 || io.stderr !== process.stderr) return () => undefined;
  const watch = new LoopWatch({ events, thresholdMs, log: log.level === 'error' ? null : log, death });
  watch.start();
  return () => void watch.stop();
}

function logFailure(error: unknown, { logger, event }: { readonly logger: Logger; readonly event: string }): void {
  logger.error(messageOf(error), {
    event,
    ...(isLovageError(error) ? { code: error.code } : { stack: framesOf(error) }),
    causes: causesOf(error).map((cause) => messageOf(cause, { named: true })),
  });
}
