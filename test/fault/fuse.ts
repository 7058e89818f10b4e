import { setImmediate as turn } from 'node:timers/promises';
import type { FaultPlan, Step } from './fault-point.js';

/** Kills this process with SIGKILL where the plan says: nothing is flushed, closed or handed back. */
export class Fuse {
  readonly #step: string;
  readonly #moment: string;
  readonly #nth: number;
  readonly #turns: number;
  #calls = 0;

  /** @param plan null: this process lives. */
  constructor(plan: FaultPlan | null) {
    [this.#step, this.#moment] = (plan?.point.split(':') ?? ['', '']) as [string, string];
    this.#nth = plan?.nth ?? 0;
    this.#turns = plan?.turns ?? 0;
    if (plan?.point === 'life:during') setTimeout(die, this.#turns * 5);
  }

  /**
   * Does one step. `half`: what has happened when it is struck down under way; default: it has been begun. `counts`: whether a call that has ended was one of those
   * after which to die.
   */
  async around<T>(
    step: Step,
    work: () => Promise<T>,
    {
      half = work,
      counts = () => true,
    }: { readonly half?: () => unknown; readonly counts?: (result: T) => boolean } = {},
  ): Promise<T> {
    if (this.#moment === 'after') {
      const result = await work();
      if (counts(result) && this.#strikes(step)) die();
      return result;
    }
    if (!this.#strikes(step)) return await work();
    if (this.#moment === 'during') {
      void Promise.resolve(half()).catch(() => undefined);
      await this.#linger();
    }
    return die();
  }

  /** As `around`, for a step that nobody awaits and that is over when it returns. */
  at(step: Step, work: () => void): void {
    if (!this.#strikes(step)) return work();
    if (this.#moment === 'after') work();
    die();
  }

  /** As `around`, for a step that nobody awaits and that only begins here: the process lives on for a while, in which it may end. */
  begun(step: Step, work: () => void, half: () => void): void {
    if (!this.#strikes(step)) return work();
    if (this.#moment === 'before') die();
    if (this.#moment === 'during') half();
    else work();
    void this.#linger().then(die);
  }

  async #linger(): Promise<void> {
    for (let turns = this.#turns; turns > 0; turns--) await turn();
  }

  #strikes(step: Step): boolean {
    return step === this.#step && ++this.#calls === this.#nth;
  }
}

function die(): never {
  process.kill(process.pid, 'SIGKILL');
  for (;;);
}
