import { Redis } from 'ioredis';
import { programme } from '../support/programmes.js';
import { peer } from './peer.js';
import type { Subject } from './subject.js';

/** BullMQ on the Redis of `url`, which is emptied after each turn. */
export function bullmq(url: string): Subject {
  const command = (mode: string) => (load: object) => ({
    args: [programme('bullmq.mjs'), mode],
    env: { BENCH_LOAD: JSON.stringify(load), BENCH_REDIS: url },
  });
  return peer({
    name: 'BullMQ',
    caller: command('enqueue'),
    worker: command('work'),
    clear: async () => {
      const redis = new Redis(url);
      await redis.flushall();
      await redis.quit();
    },
  });
}
