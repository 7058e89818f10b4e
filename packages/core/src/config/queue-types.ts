import { show } from '../errors/lovage-error.js';
import { boolean, integer, isRecord, nullable, oneOf, queueName, recordOf } from './config-type.js';
import { nearest } from './nearest.js';
import type { QueueSettings } from './settings.js';

export const DEFAULT_QUEUE_SETTINGS: QueueSettings = Object.freeze({
  type: 'quorum',
  maxPriority: null,
  declare: true,
});

const OPTIONS = {
  type: oneOf(['quorum', 'classic']),
  maxPriority: nullable(integer({ min: 1, max: 255 })),
  declare: boolean,
} as const;

/** Queues by name, each with type, maxPriority and declare. */
export const queues = recordOf<QueueSettings>(
  'queues by name, such as {"slow": {"type": "classic", "maxPriority": 10}}',
  ({ key, value, what }, problems) => {
    queueName.read(key, `the key of ${what}`, problems);
    if (!isRecord(value)) {
      problems.push(`expected ${what} to be an object with ${Object.keys(OPTIONS).join(', ')}, got ${show(value)}`);
      return undefined;
    }
    for (const option of Object.keys(value).filter((name) => !Object.hasOwn(OPTIONS, name))) {
      const guess = nearest(option, Object.keys(OPTIONS));
      const advice = guess === null ? `the keys are ${Object.keys(OPTIONS).join(', ')}` : `did you mean ${guess}?`;
      problems.push(`${what}.${option} is not a configuration key; ${advice}`);
    }
    const read = <K extends keyof typeof OPTIONS>(option: K): unknown =>
      value[option] === undefined
        ? DEFAULT_QUEUE_SETTINGS[option]
        : OPTIONS[option].read(value[option], `${what}.${option}`, problems);
    const queue = { type: read('type'), maxPriority: read('maxPriority'), declare: read('declare') } as QueueSettings;
    if (queue.maxPriority != null && queue.type === 'quorum') {
      problems.push(`${what}.maxPriority needs ${what}.type to be 'classic': a quorum queue has no priorities`);
    }
    return Object.freeze(queue);
  },
);

/** Task name or glob → queue. */
export const routes = recordOf<string>(
  'queues by task name or glob, such as {"billing.*": "billing"}',
  ({ key, value, what }, problems) => {
    if (!/^\S{1,255}$/u.test(key)) {
      problems.push(`expected the key of ${what} to be a task's name or a glob such as billing.*, got ${show(key)}`);
    }
    return queueName.read(value, what, problems);
  },
);
