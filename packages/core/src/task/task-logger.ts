import { inspect } from 'node:util';

/** What a task logs through. A winston logger is one. */
export interface TaskLogger {
  debug(message: string, meta?: object): unknown;
  info(message: string, meta?: object): unknown;
  warn(message: string, meta?: object): unknown;
  error(message: string, meta?: object): unknown;
}

/** Where no worker provides a logger: lines on the standard error. */
export const stderrLogger: TaskLogger = {
  debug: (message, meta) => write('debug', message, meta),
  info: (message, meta) => write('info', message, meta),
  warn: (message, meta) => write('warn', message, meta),
  error: (message, meta) => write('error', message, meta),
};

function write(level: 'debug' | 'info' | 'warn' | 'error', message: string, meta: object | undefined): void {
  process.stderr.write(`${level}: ${message}${meta === undefined ? '' : ` ${inspect(meta)}`}\n`);
}
