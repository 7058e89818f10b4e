/** Where a task's code runs: on the worker's own event loop, or in a thread that is its alone while it runs. */
export const POOL_NAMES = ['async', 'threads'] as const;

export type PoolName = (typeof POOL_NAMES)[number];
