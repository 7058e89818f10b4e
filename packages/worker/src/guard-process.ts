import { TaskContext, encodeError, type TaskLogger } from '@lovage/core';

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

// Whatever was thrown, a throw in here would end the process after all.
function describe(what: string, thrown: unknown): string {
  const { type, message, stack } = encodeError(thrown);
  return `${what}: ${stack ?? `${type}: ${message}`}`;
}

function taskOf(): object {
  const context = TaskContext.find();
  return context === undefined ? {} : { task: context.task, id: context.id };
}
