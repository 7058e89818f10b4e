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
  readonly startProcess: (listener: SlotListener) => WorkerProcess;
}

export interface SlotListener {
  readonly onMessage: (message: FromWorker) => void;
  readonly onDeaf: (how: StopKind) => void;
}

/** One process of a slot. */
interface Occupant {
  readonly process: WorkerProcess;
  /** Resolves when it consumes. */
  readonly ready: Promise<null>;
  /** Resolves when it is to be replaced. */
  readonly full: Promise<null>;
  /** When it last said whether it consumes; a time of performance.now. */
  beat: { readonly at: number; readonly consuming: boolean };
  /** It was told to end. */
  leaving: boolean;
}

/**
 * A place that one worker process holds. One that dies has a successor after a back-off. One that has had enough goes on until its successor consumes, and until its own
 * tasks have ended: so the place is never empty, and no task is cut short. It has at most two processes at a time.
 */
export class WorkerSlot {
  readonly #options: SlotOptions;
  readonly #occupants = new Set<Occupant>();
  readonly #lastEnds: WorkerEnd[] = [];
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
    const process = this.#options.startProcess({
      onMessage: (message) => {
        if (message.kind === 'beat') occupant.beat = { at: performance.now(), consuming: message.consuming };
        if (message.kind === 'ready') {
          occupant.beat = { at: performance.now(), consuming: true };
          becomeReady();
          this.#drainBut(occupant);
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
      full: new Promise((resolve) => (becomeFull = () => resolve(null))),
      beat: { at: 0, consuming: false },
      leaving: false,
    };
    this.#occupants.add(occupant);
    this.#newest = occupant;
    void process.ended.then((end) => this.#ended(occupant, end));
    return occupant;
  }

  #ended(occupant: Occupant, end: WorkerEnd): void {
    this.#occupants.delete(occupant);
    if (this.#stopping) this.#lastEnds.push(end);
    else if (occupant.leaving && end.code !== 0) this.#report(occupant, end, 'it was to be replaced');
    else if (!occupant.leaving && occupant !== this.#newest) this.#report(occupant, end, 'its successor is starting');
  }

  /** Resolves once an occupant has had enough and none before it is left. */
  async #replaceable(occupant: Occupant): Promise<null> {
    await occupant.full;
    const others = [...this.#occupants].filter((other) => other !== occupant);
    await Promise.all(others.map(({ process }) => process.ended));
    return null;
  }

  #drainBut(newest: Occupant): void {
    if (this.#stopping) return;
    for (const occupant of this.#occupants) {
      if (occupant === newest || occupant.leaving) continue;
      occupant.leaving = true;
      occupant.process.stop('drain', `replaced by pid ${newest.process.pid}`);
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
    this.#log('error', occupant, { text: `${describeEnd(end)}; ${consequence}`, code, signal });
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
