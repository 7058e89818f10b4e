import type { Completion, LoopBlock } from '@lovage/core';

/** What a paused main thread says of the code that it runs. */
export interface LoopBlocker extends Omit<LoopBlock, 'blockedMs'>, BlockerEnd {}

/** Whether a task that blocks its process is to end with it. */
export interface BlockerEnd {
  /** In how many milliseconds its hard time limit is over, for which the process may be killed; null: it has none. */
  readonly limitLeftMs: number | null;
  /** Where that is over, or the task was revoked. */
  readonly lastWords: LastWords | null;
}

/** What a process leaves behind that is to be killed for a task in it. */
export interface LastWords {
  readonly task: string;
  readonly id: string;
  /** Why the task is not let be, to go on from "is blocked by task …": such as 'beyond its timeLimit of 30 s'. */
  readonly why: string;
  /** Its message as it came, by `v8.serialize`, in base64: a body is bytes. */
  readonly message: string;
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
