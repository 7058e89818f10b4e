import { createHash } from 'node:crypto';
import { mainQueueOf, taskIdOf, type HeaderValue, type Message } from '@lovage/core';

/** A message of a dead-letter queue, as people see it. */
export interface DeadLetter {
  /** The task's id; where there is none, `sha:` and the beginning of its body's SHA-256. */
  readonly id: string;
  /** null: the message does not say, or nothing that is a name. */
  readonly task: string | null;
  /** The queue that it was to be run from. */
  readonly queue: string;
  /** When it was moved: an ISO time, by that worker's clock; null: no worker has moved it. */
  readonly time: string | null;
  readonly reason: string | null;
  readonly worker: string | null;
}

export function deadLetterOf(message: Message): DeadLetter {
  const { headers } = message;
  return {
    id: taskIdOf(message) ?? `sha:${createHash('sha256').update(message.body).digest('hex').slice(0, 12)}`,
    task: textOf(headers['task']),
    queue: mainQueueOf(message.queue),
    time: textOf(headers['x-lovage-time']),
    reason: textOf(headers['x-lovage-reason']),
    worker: textOf(headers['x-lovage-worker']),
  };
}

/** As one line of a terminal, whatever a foreign message holds. */
export function lineOf(text: string | null): string {
  return text === null || text === '' ? '-' : text.replace(/[\p{Cc}\u2028\u2029]/gu, ' ');
}

function textOf(value: HeaderValue | undefined): string | null {
  return typeof value === 'string' ? value : null;
}
