import { LovageError, type EventSink, type LoadedApp, type Runtime } from '@lovage/core';
import type { AppSource, WorkerInfo } from '../worker-options.js';
import { AsyncPool } from './async-pool.js';
import { threadSetupOf } from './open-app.js';
import type { Pool } from './pool.js';
import { ThreadPool } from './thread-pool.js';
import type { ThreadLine } from './thread-protocol.js';

export interface PoolsRequest {
  readonly loaded: LoadedApp;
  readonly info: WorkerInfo;
  /** undefined: the worker cannot start threads. */
  readonly source: AppSource | undefined;
  readonly log: (line: ThreadLine) => void;
  readonly events: EventSink;
  readonly runtime: Runtime;
}

/** The pools that a worker's tasks need; none is started. @throws LOVAGE_USAGE: they need threads, and nobody has said where the app is. */
export function createPools({ loaded, info, source, log, events, runtime }: PoolsRequest): readonly Pool[] {
  const pools: Pool[] = [new AsyncPool(info.concurrency)];
  if (info.threads === null) return pools;
  const { settings, tasks } = loaded;
  const threaded = tasks.list().flatMap(({ name, pool }) => ((pool ?? info.pool) === 'threads' ? [name] : []));
  if (source === undefined) {
    const text = `each thread loads the app for itself, and this worker cannot say from where: new Worker(app, { source: { app: __filename } })`;
    throw new LovageError('LOVAGE_USAGE', text);
  }
  const setup = threadSetupOf(source, settings);
  pools.push(new ThreadPool({ size: info.threads, setup, tasks: threaded, log, events, runtime }));
  return pools;
}
