// What users call is named here; the rest of @lovage/core is for those who write drivers and tools, and they import it by that name.
export type * from '@lovage/core';
export {
  Arg,
  AsyncResult,
  ERROR_CODES,
  Lovage,
  LovageError,
  Returns,
  Task,
  TaskContext,
  TaskHandle,
  isFinalState,
  isLovageApp,
  isLovageError,
  maskUrl,
} from '@lovage/core';
export { Relay, Worker, createLogger, guardProcess, logEvents } from '@lovage/worker';
export type {
  AppSource,
  LogLevel,
  LoggerOptions,
  RelayInfo,
  RelayOptions,
  StopOptions,
  StopReport,
  WorkerInfo,
  WorkerLogger,
  WorkerOptions,
} from '@lovage/worker';
