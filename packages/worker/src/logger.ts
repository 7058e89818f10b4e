import { createRequire } from 'node:module';
import type { Writable } from 'node:stream';
import { inspect } from 'node:util';
import type * as Winston from 'winston';
import type { Logger } from 'winston';

export const LOG_LEVELS = ['error', 'warn', 'info', 'debug'] as const;

export type LogLevel = (typeof LOG_LEVELS)[number];

export interface LoggerOptions {
  /** The least important level that is written. */
  readonly level: LogLevel;
  /** `text`: a line for people; `json`: a line for machines, with keys time, level, message and whatever was logged with it. */
  readonly format: 'text' | 'json';
  /** Colours the level; for `text` on a terminal. */
  readonly color: boolean;
  /** Where lines go. Default: standard error. */
  readonly stream?: Writable;
  /** Which one of several processes logs, from 1; on every line. */
  readonly process?: number;
}

/** What a task or an event logs beside its message. */
interface Line {
  readonly level: string;
  readonly message: unknown;
  readonly time?: string;
  readonly event?: string;
  readonly task?: string;
  readonly id?: string;
  readonly process?: number;
}

const COLORS: Readonly<Record<string, number>> = { error: 31, warn: 33, info: 32, debug: 90 };

/** Under which winston keeps what was logged beside a message, and what it takes for a pattern in one. */
const SPLAT = Symbol.for('splat');
const PATTERN = /%[scdjifoO%]/;

/** A winston logger for a worker: logs its tasks' own lines as `task[id]: message`, the lines of one of several processes as `[2] …`. */
export function createLogger(options: LoggerOptions): Logger {
  // A third of the time that it took to load Lovage, in callers too, which have no use for it.
  const { createLogger: create, format, transports } = createRequire(__filename)('winston') as typeof Winston;
  const keepFields = format(withFields);
  const dropTimestamp = format(withoutTimestamp);
  const time = format.timestamp({ alias: 'time', format: () => new Date().toISOString() });
  return create({
    level: options.level,
    levels: Object.fromEntries(LOG_LEVELS.map((level, index) => [level, index])),
    format:
      options.format === 'json'
        ? format.combine(keepFields(), time, dropTimestamp(), format.json())
        : format.combine(
            keepFields(),
            time,
            dropTimestamp(),
            format.printf((info) => textLine(info, options.color)),
          ),
    ...(options.process !== undefined && { defaultMeta: { process: options.process } }),
    transports: [new transports.Stream({ stream: options.stream ?? process.stderr, eol: '\n' })],
    exitOnError: false,
  });
}

// winston takes a message with a `%s` in it for a pattern, and drops what was logged beside it.
function withFields(info: Winston.Logform.TransformableInfo): Winston.Logform.TransformableInfo {
  const [fields] = (info[SPLAT] ?? []) as readonly unknown[];
  if (typeof fields !== 'object' || fields === null || !PATTERN.test(String(info.message))) return info;
  const { level, message } = info;
  return Object.assign(info, fields, { level, message });
}

// winston writes both `timestamp` and its alias.
function withoutTimestamp(info: Winston.Logform.TransformableInfo): Winston.Logform.TransformableInfo {
  delete info['timestamp'];
  return info;
}

function textLine({ level, message, time, event, task, id, process, ...rest }: Line, color: boolean): string {
  const name = level.toUpperCase().padEnd(5);
  const shown = color ? `\u001b[${COLORS[level] ?? 0}m${name}\u001b[0m` : name;
  const from = process === undefined ? '' : `[${process}] `;
  // An event's message says it all; its keys are for machines.
  if (event !== undefined) return `${time} ${shown} ${from}${String(message)}`;
  const who = task === undefined ? '' : `${task}[${id ?? '?'}]: `;
  // winston keeps things of its own under symbols.
  const extra = Object.fromEntries(Object.entries(rest));
  const meta = Object.keys(extra).length === 0 ? '' : ` ${inspect(extra, { breakLength: Infinity, depth: 4 })}`;
  return `${time} ${shown} ${from}${who}${String(message)}${meta}`;
}
