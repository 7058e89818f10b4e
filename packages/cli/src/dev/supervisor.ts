import path from 'node:path';
import { EXIT_CODES, type ExitName } from '../exit-codes.js';
import type { StopKind } from '../processes/protocol.js';
import { describeEnd, livedLong, restartDelayMs } from '../processes/restart-delay.js';
import type { WorkerEnd, WorkerProcess } from '../processes/worker-process.js';
import { startDevProcess, type DevProcessOptions } from './dev-process.js';
import type { TaskSummary } from './protocol.js';
import { SourceWatcher } from './source-watcher.js';

export interface SupervisorOptions extends Omit<DevProcessOptions, 'onLoaded' | 'onFiles' | 'onDeaf'> {
  /** Called when the app has been loaded for the first time, before the worker consumes. */
  readonly onFirstLoaded: (tasks: readonly TaskSummary[]) => void;
  /** Told what happens, in a line. */
  readonly say: (text: string) => void;
}

/**
 * Keeps one worker running on the newest code: a new one when a file that the last one loaded changes, once its tasks have ended; after a back-off when it died; at the next change when its code cannot be loaded.
 */
export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #watcher: SourceWatcher;
  #worker: WorkerProcess | null = null;
  #stopping = false;
  /** Whether anything has changed since the worker was started. */
  #changed = false;
  #wake: () => void = () => undefined;
  #known: ReadonlySet<string> = new Set();
  #announced = false;

  constructor(options: SupervisorOptions) {
    this.#options = options;
    this.#watcher = new SourceWatcher(options.cwd, {
      onChange: (files) => this.#reload(files),
      onProblem: (text) => options.say(text),
    });
  }

  /** Resolves once `stop` was called and the worker has ended: `abandoned` if tasks of it had not. Once. */
  async run(): Promise<ExitName> {
    let failures = 0;
    try {
      for (;;) {
        if (this.#stopping) return 'ok';
        this.#changed = false;
        const end = await this.#runWorker();
        if (this.#stopping) return endedWell(end) ? 'ok' : 'abandoned';
        if (livedLong(end)) failures = 0;
        if (!this.#changed) await this.#pauseAfter(end, failures++);
        // What failed was other code.
        if (this.#changed) failures = 0;
      }
    } finally {
      this.#watcher.close();
    }
  }

  /** Ends the worker as a signal does, `now` as a second one. */
  stop(reason: string, options: { readonly now: boolean }): void {
    this.#stopping = true;
    this.#worker?.stop(options.now ? 'now' : 'stop', reason);
    this.#wake();
  }

  #reload(files: readonly string[]): void {
    if (this.#stopping || this.#changed) return;
    const [first = '', ...others] = files.map((file) => path.relative(this.#options.cwd, file));
    const more = others.length === 0 ? '' : ` and ${others.length} more`;
    this.#options.say(`${first}${more} changed: reloading`);
    this.#changed = true;
    this.#worker?.stop('drain', 'its code has changed');
    this.#wake();
  }

  async #runWorker(): Promise<WorkerEnd> {
    const loaded = new Set<string>();
    const watch = (files: ReadonlySet<string>): void => {
      this.#known = files;
      this.#watcher.watch({ files, wide: false });
    };
    watch(this.#known);
    this.#worker = startDevProcess({
      ...this.#options,
      onFiles: (files) => {
        for (const file of files) loaded.add(file);
        watch(new Set([...this.#known, ...files]));
      },
      onLoaded: (tasks) => {
        // What the last worker loaded, and this one does not, is no code of the app any more.
        watch(new Set(loaded));
        if (!this.#announced) this.#options.onFirstLoaded(tasks);
        this.#announced = true;
      },
      onDeaf: (how) => this.#options.say(describeDeaf(how)),
    });
    const end = await this.#worker.ended;
    this.#worker = null;
    return end;
  }

  /** Until the next start: a change ends the wait. */
  async #pauseAfter(end: WorkerEnd, failures: number): Promise<void> {
    const isUnusable = end.readyAt === null && end.code === EXIT_CODES.usage.code;
    const delayMs = restartDelayMs(failures);
    this.#options.say(
      isUnusable
        ? 'waiting for a change'
        : `the worker ${describeEnd(end)}; starting it again in ${(delayMs / 1000).toFixed(0)} s, or when a file changes`,
    );
    this.#watcher.watch({ files: this.#known, wide: true });
    await new Promise<void>((resolve) => {
      const timer = isUnusable ? undefined : setTimeout(resolve, delayMs);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#wake = () => undefined;
  }
}

/** One that never consumed had nothing to leave undone. */
function endedWell({ code, readyAt }: WorkerEnd): boolean {
  return readyAt === null || code === EXIT_CODES.ok.code;
}

function describeDeaf(how: StopKind): string {
  const ends = { drain: 'Ctrl-C twice ends it', stop: 'Ctrl-C again ends it', now: 'it is killed soon' }[how];
  return `the worker does not answer: a task in it never pauses (an endless loop?); ${ends}`;
}
