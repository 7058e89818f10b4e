import type { Argv } from 'yargs';

/** `-A`, for every command that works on an app. */
export function appOption<T>(parser: Argv<T>) {
  return parser.option('app', {
    alias: 'A',
    type: 'string',
    requiresArg: true,
    default: 'app',
    describe: 'The app: a module, or module:export. `app` is ./app.ts, ./app.js, ./app/index.ts …',
  });
}

/** `--no-retry`, for commands that connect. */
export function retryOption<T>(parser: Argv<T>) {
  return parser.option('no-retry', {
    type: 'boolean',
    default: false,
    describe: 'Try to connect once, instead of until connectRetryFor is over',
  });
}

/** `--json`, for commands with something to show. */
export function jsonOption<T>(parser: Argv<T>) {
  return parser.option('json', {
    type: 'boolean',
    default: false,
    describe: 'Print one JSON document instead of text',
  });
}
