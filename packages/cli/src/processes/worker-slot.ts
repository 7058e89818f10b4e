import type { LastWords } from '@lovage/worker';
import type { Logger } from '../run-service.js';
import type { FromWorker, StopKind } from './protocol.js';
import { describeEnd, livedLong, restartDelayMs } from './restart-delay.js';
import type { WorkerEnd, WorkerProcess } from './worker-process.js';

/** A process whose last beat is older does not consume, whatever it said then: its event loop is blocked. */
const BEAT_LOST_MS = 5_000;

export interface SlotOptions {
  /** From 1. */
  readonly number: number;
  readonly logger: Logger;
  readonly startProcess: (request: SlotRequest) => WorkerProcess;
}

export interface SlotRequest {
  /** To be committed before it is ready. */
  readonly lastWords: readonly LastWords[];
  readonly onLastWords: (words: LastWords) => void;
  readonly onMessage: (message: FromWorker) => void;
  readonly onDeaf: (how: StopKind) => void;
}

/** One process of a slot. */
interface Occupant {
  readonly process: WorkerProcess;
  /** Resolves when it consumes. */
  readonly ready: Promise<null>;
  /** Resolves when it is to be replaced, once no process before it is left. */
  readonly full: Promise<void>;
  /** Resolves when it is to be replaced at once. */
  readonly urgent: Promise<null>;
  replaceNow(): void;
  /** What it last said of itself, and when; a time of performance.now. */
  beat: { readonly at: number; readonly consuming: boolean; readonly tasks: string | null };
  /** It was told to end. */
  leaving: boolean;
  /** It is to be killed, unless it turns out to live; since when, a time of performance.now. null: it is not. */
  condemnedAt: number | null;
}

/**
 * A place that one worker process holds. One that dies has a successor after a back-off. One that has had enough goes on until its successor consumes, and until its own
 * tasks have ended: so the place is never empty, and no task is cut short. It has at most two processes at a time.
 */
export class WorkerSlot {
  readonly #options: SlotOptions;
  readonly #occupants = new Set<Occupant>();
  readonly #lastEnds: WorkerEnd[] = [];
  /** Not known to be committed. */
  #lastWords: readonly LastWords[] = [];
  #newest: Occupant | null = null;
  #stopping = false;
  #wake: () => void = () => undefined;

  constructor(options: SlotOptions) {
    this.#options = options;
  }

  get consuming(): boolean {
    const since = performance.now() - BEAT_LOST_MS;
    return [...this.#occupants].some(({ beat }) => beat.consuming && beat.at > since);
  }

  /** How those processes ended that still ran at `stop`. */
  get lastEnds(): readonly WorkerEnd[] {
    return this.#lastEnds;
  }

  /** Starts its first process. Resolves once that consumes; with its end, if that comes first. */
  begin(): Promise<WorkerEnd | null> {
    const { process, ready } = this.#start();
    return Promise.race([ready, process.ended]);
  }

  /** Keeps a process running; resolves once `stop` was called and all have ended. */
  async keep(): Promise<void> {
    let failures = 0;
    while (!this.#stopping) {
      const occupant = this.#newest ?? this.#start();
      const end = await Promise.race([occupant.process.ended, this.#replaceable(occupant)]);
      this.#newest = null;
      if (end === null) failures = 0;
      else if (!this.#stopping) {
        const delayMs = livedLong(end) ? 0 : restartDelayMs(failures);
        failures = livedLong(end) ? 0 : failures + 1;
        this.#report(occupant, end, `starting another ${delayMs === 0 ? 'at once' : `in ${delayMs / 1000} s`}`);
        await this.#pause(delayMs);
      }
    }
    await Promise.all([...this.#occupants].map(({ process }) => process.ended));
  }

  /** Ends its processes as a signal does, `now` as a second one. */
  stop(reason: string, { now }: { readonly now: boolean }): void {
    this.#stopping = true;
    for (const occupant of this.#occupants) {
      occupant.leaving = true;
      occupant.process.stop(now ? 'now' : 'stop', reason);
    }
    this.#wake();
  }

  #start(): Occupant {
    let becomeReady = (): void => undefined;
    let becomeFull = (): void => undefined;
    let becomeUrgent = (): void => undefined;
    const lastWords = this.#lastWords;
    const process = this.#options.startProcess({
      lastWords,
      onLastWords: (words) => this.#condemn(occupant, words),
      onMessage: (message) => {
        if (message.kind === 'beat') occupant.beat = { ...message, at: performance.now() };
        if (message.kind === 'ready') {
          occupant.beat = { at: performance.now(), consuming: true, tasks: null };
          becomeReady();
          this.#lastWords = this.#lastWords.filter((words) => !lastWords.includes(words));
          this.#endBefore(occupant);
        }
        if (message.kind === 'full') {
          this.#log('info', occupant, { text: `${message.reason}: starting its successor` });
          becomeFull();
        }
      },
      onDeaf: () =>
        this.#log('warn', occupant, { text: 'does not answer: a task in it never pauses (an endless loop?)' }),
    });
    const occupant: Occupant = {
      process,
      ready: new Promise((resolve) => (becomeReady = () => resolve(null))),
      full: new Promise((resolve) => (becomeFull = resolve)),
      urgent: new Promise((resolve) => (becomeUrgent = () => resolve(null))),
      replaceNow: () => becomeUrgent(),
      beat: { at: 0, consuming: false, tasks: null },
      leaving: false,
      condemnedAt: null,
    };
    this.#occupants.add(occupant);
    this.#newest = occupant;
    void process.ended.then((end) => this.#ended(occupant, end));
    return occupant;
  }

  #ended(occupant: Occupant, end: WorkerEnd): void {
    this.#occupants.delete(occupant);
    if (this.#stopping) this.#lastEnds.push(end);
    else if (occupant.leaving && end.code !== 0 && occupant.condemnedAt === null)
      this.#report(occupant, end, 'it was to be replaced');
    else if (!occupant.leaving && occupant !== this.#newest) this.#report(occupant, end, 'its successor is starting');
  }

  /** Resolves once an occupant has had enough and none before it is left. */
  #replaceable(occupant: Occupant): Promise<null> {
    const alone = occupant.full.then(async () => {
      const others = [...this.#occupants].filter((other) => other !== occupant);
      await Promise.all(others.map(({ process }) => process.ended));
      return null;
    });
    return Promise.race([occupant.urgent, alone]);
  }

  /** A task blocks it that has ended, or is to. First another process commits that task's end, or its message would come again and block that one. */
  #condemn(occupant: Occupant, words: LastWords): void {
    if (this.#stopping || occupant.condemnedAt !== null) return;
    const { task, id, why } = words;
    const text = `is blocked by task ${task}[${id}] ${why}: it is killed when its successor is ready`;
    this.#log('error', occupant, { text });
    this.#lastWords = [...this.#lastWords, words];
    occupant.condemnedAt = performance.now();
    this.#newest?.replaceNow();
  }

  /** Ends those that were there before this one, which consumes now. */
  #endBefore(successor: Occupant): void {
    if (this.#stopping) return;
    for (const occupant of this.#occupants) {
      if (occupant === successor) return;
      const { process, condemnedAt, beat } = occupant;
      // One that goes on after all ends that task itself; the others that it runs may end too.
      if (condemnedAt !== null && beat.at < condemnedAt) {
        this.#log('warn', occupant, { text: 'is killed: what else it ran is delivered again' });
        process.kill();
      } else {
        occupant.condemnedAt = null;
        if (!occupant.leaving) process.stop('drain', `replaced by pid ${successor.process.pid}`);
      }
      occupant.leaving = true;
    }
  }

  async #pause(ms: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#wake = () => undefined;
  }

  #report(occupant: Occupant, end: WorkerEnd, consequence: string): void {
    const { code, signal } = end;
    const { tasks } = occupant.beat;
    // One that exits says itself what it ran.
    const ran = signal === null || tasks === null ? '' : `, and ran ${tasks} when last heard of`;
    this.#log('error', occupant, { text: `${describeEnd(end)}${ran}; ${consequence}`, code, signal });
  }

  #log(
    level: 'info' | 'warn' | 'error',
    { process: { pid } }: Occupant,
    { text, ...more }: { readonly text: string } & Partial<Pick<WorkerEnd, 'code' | 'signal'>>,
  ): void {
    const { logger, number } = this.#options;
    logger.log(level, `Process ${pid} ${text}`, { event: 'worker:process', process: number, pid, ...more });
  }
}
