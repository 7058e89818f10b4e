import { LovageError, type Revocation } from '@lovage/core';
import type { Execution } from '../execution.js';
import type { Pipeline } from '../pipeline.js';

/**
 * Does to what this worker holds what has just been revoked: what waits has ended, and holds no delivery any more. What runs and is to be terminated is told to
 * end; if it has not done so after the grace, it ends without its code.
 */
export function applyRevocations(
  news: readonly Revocation[],
  { pipeline, graceMs }: { readonly pipeline: Pipeline; readonly graceMs: number },
): void {
  pipeline.endRevoked();
  const reasons = new Map(news.filter(({ terminate }) => terminate).map(({ id, reason }) => [id, reason]));
  if (reasons.size === 0) return;
  for (const execution of pipeline.in('running')) {
    const reason = reasons.get(execution.request.id);
    if (reason === undefined) continue;
    execution.interrupt(abortReason(execution, reason));
    // By then it may have ended, or been handed back: there is nothing to decide any more.
    setTimeout(() => pipeline.decide(execution, { kind: 'revoked', reason }), graceMs).unref();
  }
}

function abortReason({ request: { task, id } }: Execution, reason: string): LovageError {
  return new LovageError('LOVAGE_TASK_REVOKED', `task ${task} ${id} was revoked: ${reason}`);
}
