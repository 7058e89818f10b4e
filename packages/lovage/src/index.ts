export * from '@lovage/core';
export { Worker, type StopOptions, type StopReport, type WorkerInfo, type WorkerOptions } from '@lovage/worker';
