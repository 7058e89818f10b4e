export { workerInfoOf } from './app-info.js';
export { guardProcess } from './guard-process.js';
export { logEvents } from './log-events.js';
export { LOG_LEVELS, createLogger, type LogLevel, type LoggerOptions } from './logger.js';
export { Relay, type RelayInfo, type RelayOptions } from './relay/relay.js';
export { Worker } from './worker.js';
export { resolveLimits } from './worker-options.js';
export type { AppSource, StopOptions, StopReport, WorkerInfo, WorkerLogger, WorkerOptions } from './worker-options.js';
