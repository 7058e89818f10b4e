import { TaskContext, type TaskLogger } from '@lovage/core';

/**
 * Keeps the process alive when a task leaves something dangling: a rejected promise that nobody awaits, a throw in a timer's callback.
 * Each is logged as an error, with its task where that is known. For processes that are workers and nothing else: it changes what Node does
 * with every unhandled error. The function returned takes it back.
 */
export function guardProcess(logger: Pick<TaskLogger, 'error'>): () => void {
  const rejection = (reason: unknown) =>
    logger.error(describe('a promise was rejected and nobody awaited it', reason), taskOf());
  const exception = (error: unknown) =>
    logger.error(describe('an error was thrown outside of any call', error), taskOf());
  process.on('unhandledRejection', rejection);
  process.on('uncaughtException', exception);
  return () => {
    process.off('unhandledRejection', rejection);
    process.off('uncaughtException', exception);
  };
}

function describe(what: string, thrown: unknown): string {
  return `${what}: ${thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown)}`;
}

function taskOf(): object {
  const context = TaskContext.find();
  return context === undefined ? {} : { task: context.task, id: context.id };
}
