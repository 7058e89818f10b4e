import type { ErrorCode } from '@lovage/core';

/** What a command ends with, one table for all of them. docs/reference/cli.md renders it and a test holds the two together. */
export const EXIT_CODES = {
  ok: { code: 0, means: 'Done. For a worker: stopped as it was asked to, with nothing left undone.' },
  failure: { code: 1, means: 'Anything else went wrong; the message says what.' },
  usage: { code: 2, means: 'The command line, the configuration, the app or one of its task modules is wrong.' },
  unavailable: {
    code: 3,
    means: 'The broker or the database cannot be used: unreachable, refused, or its queues or schema do not fit.',
  },
  taskFailed: { code: 4, means: 'The task ended FAILURE or REVOKED.' },
  noRecord: { code: 5, means: 'There is no record of that id: unknown, or not finished.' },
  timedOut: { code: 6, means: 'The task did not finish within --timeout. It may still finish.' },
  abandoned: {
    code: 7,
    means: 'The worker stopped before all of its tasks had ended; the broker delivers them again.',
  },
} as const satisfies Record<string, { readonly code: number; readonly means: string }>;

export type ExitName = keyof typeof EXIT_CODES;

const EXIT_OF_ERROR = {
  LOVAGE_CONFIG: 'usage',
  LOVAGE_TASK_DEFINITION: 'usage',
  LOVAGE_DISCOVERY: 'usage',
  LOVAGE_APP_NOT_FOUND: 'usage',
  LOVAGE_NOT_REGISTERED: 'usage',
  LOVAGE_ARGUMENTS: 'usage',
  LOVAGE_PAYLOAD: 'usage',
  LOVAGE_MESSAGE: 'failure',
  LOVAGE_MESSAGE_LOST: 'taskFailed',
  LOVAGE_RESULT_NOT_STORABLE: 'failure',
  LOVAGE_DRIVER: 'usage',
  LOVAGE_ACCESS_REFUSED: 'unavailable',
  LOVAGE_BROKER_UNAVAILABLE: 'unavailable',
  LOVAGE_RESULTS_UNAVAILABLE: 'unavailable',
  LOVAGE_PUBLISH: 'unavailable',
  LOVAGE_UNROUTABLE: 'unavailable',
  LOVAGE_QUEUE_MISMATCH: 'unavailable',
  LOVAGE_SCHEMA: 'unavailable',
  LOVAGE_RESULTS_NOT_CONFIGURED: 'usage',
  LOVAGE_RESULT_IGNORED: 'usage',
  LOVAGE_RESULT_TIMEOUT: 'timedOut',
  LOVAGE_GET_INSIDE_TASK: 'usage',
  LOVAGE_TASK_FAILED: 'taskFailed',
  LOVAGE_TASK_REVOKED: 'taskFailed',
  LOVAGE_NO_CONTEXT: 'usage',
  LOVAGE_STOPPED: 'failure',
  LOVAGE_USAGE: 'usage',
} as const satisfies Record<ErrorCode, ExitName>;

/** The exit code for an error of the family; that of `failure` for a code this version does not know. */
export function exitOfError(code: ErrorCode): ExitName {
  return EXIT_OF_ERROR[code] ?? 'failure';
}
