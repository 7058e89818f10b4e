import { LovageError, type Revocation } from '@lovage/core';
import type { Execution } from '../execution.js';
import type { Pipeline } from '../pipeline.js';

/** Stops those of the revoked tasks that run here and are to be terminated: their signals abort now, and what has not ended after the grace ends without its code. */
export function terminateRunning(
  revocations: readonly Revocation[],
  { pipeline, graceMs }: { readonly pipeline: Pick<Pipeline, 'in' | 'decide'>; readonly graceMs: number },
): void {
  const reasons = new Map(revocations.filter(({ terminate }) => terminate).map(({ id, reason }) => [id, reason]));
  if (reasons.size === 0) return;
  for (const execution of pipeline.in('running')) {
    const reason = reasons.get(execution.request.id);
    if (reason === undefined) continue;
    execution.abort(abortReason(execution, reason));
    // By then it may have ended, or been handed back: there is nothing to decide any more.
    setTimeout(() => pipeline.decide(execution, { kind: 'revoked', reason }), graceMs).unref();
  }
}

function abortReason({ request: { task, id } }: Execution, reason: string): LovageError {
  return new LovageError('LOVAGE_TASK_REVOKED', `task ${task} ${id} was revoked: ${reason}`);
}
