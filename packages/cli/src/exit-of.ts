import { isLovageError, type ErrorCode } from '@lovage/core';
import type { ExitName } from './exit-codes.js';

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
  LOVAGE_SOFT_TIME_LIMIT: 'taskFailed',
  LOVAGE_TIME_LIMIT: 'taskFailed',
  LOVAGE_THREAD_DIED: 'taskFailed',
  LOVAGE_POISON: 'taskFailed',
  LOVAGE_RETRIES_EXHAUSTED: 'taskFailed',
  LOVAGE_TRANSACTION_REQUIRED: 'usage',
  LOVAGE_NO_CONTEXT: 'usage',
  LOVAGE_STOPPED: 'failure',
  LOVAGE_USAGE: 'usage',
} as const satisfies Record<ErrorCode, ExitName>;

/** How a command ends that threw this: `failure` for what is no error of the family, or has a code that this version does not know. */
export function exitOf(error: unknown): ExitName {
  return isLovageError(error) ? (EXIT_OF_ERROR[error.code] ?? 'failure') : 'failure';
}
