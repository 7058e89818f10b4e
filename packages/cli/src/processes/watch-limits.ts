import type { EventBus } from '@lovage/core';
import type { ProcessLimits } from './process-options.js';

/** How often memory is looked at, in milliseconds. */
const LOOK_EVERY_MS = 1_000;
/** Every way in which a run of a task ends. */
const ENDS = ['task:succeeded', 'task:failed', 'task:retried'] as const;

/** Says once when this process has had enough, and of what. The function returned ends it. */
export function watchLimits(events: EventBus, limits: ProcessLimits, onFull: (reason: string) => void): () => void {
  const ends: (() => void)[] = [];
  let isFull = false;
  const full = (reason: string): void => {
    if (isFull) return;
    isFull = true;
    onFull(reason);
  };
  if (limits.tasks < Infinity) {
    let tasks = 0;
    const count = (): void => {
      if (++tasks >= limits.tasks) full(`has run ${limits.tasks.toLocaleString('en')} task${tasks === 1 ? '' : 's'}`);
    };
    ends.push(...ENDS.map((name) => events.on(name, count)));
  }
  if (limits.memory < Infinity) {
    const look = (): void => {
      const bytes = process.memoryUsage.rss();
      if (bytes > limits.memory) full(`uses ${(bytes / 1e6).toFixed(0)} MB`);
    };
    const looking = setInterval(look, LOOK_EVERY_MS);
    ends.push(() => clearInterval(looking));
  }
  return () => ends.forEach((end) => end());
}
