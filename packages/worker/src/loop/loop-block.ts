import type { Completion, LoopBlock } from '@lovage/core';

/** What a paused main thread says of the code that it runs. */
export interface LoopBlocker extends Omit<LoopBlock, 'blockedMs'> {
  /** In how many milliseconds the hard time limit of the task is over, for which this process may be killed; null: there is none. */
  readonly limitLeftMs: number | null;
  /** Where it is over. */
  readonly lastWords: LastWords | null;
}

/** What a process leaves behind that is to be killed for a task in it. */
export interface LastWords {
  readonly task: string;
  readonly id: string;
  /** The limit that is over. */
  readonly timeLimitMs: number;
  /** How the task ends; to be committed by another process, as this one cannot. */
  readonly completion: Completion;
}

/** `lasts`: it is not over yet. */
export function describeBlock({ blockedMs, task, frame }: LoopBlock, { lasts }: { readonly lasts: boolean }): string {
  const [who, did, does] =
    task === null
      ? ['The event loop', 'was blocked', 'has been blocked']
      : [`Task ${task.name}[${task.id}]`, 'blocked the event loop', 'has blocked the event loop'];
  const where = frame === null ? '' : `, at ${frame}`;
  const seconds = `${(blockedMs / 1000).toFixed(1)} s`;
  return lasts
    ? `${who} ${does} for ${seconds} so far${where}: nothing else runs in this process`
    : `${who} ${did} for ${seconds}${where}: nothing else ran in this process`;
}

/** What a log line says of it to machines. */
export function blockFields({ blockedMs, task, frame }: LoopBlock): object {
  const whose = task === null ? {} : { task: task.name, id: task.id };
  return { event: 'loop:blocked', blockedMs: Math.round(blockedMs), frame, ...whose };
}
