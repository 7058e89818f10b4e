import type { Intake } from '../intake.js';
import type { Pipeline } from '../pipeline.js';

export interface PrefetchTunerOptions {
  readonly intakes: readonly Intake[];
  readonly pipeline: Pick<Pipeline, 'giveBackBeyond'>;
}

const SECOND_MS = 1_000;

/** Tells the intakes of each second, and hands back what they then hold in excess. */
export class PrefetchTuner {
  readonly #options: PrefetchTunerOptions;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: PrefetchTunerOptions) {
    this.#options = options;
  }

  start(): void {
    const { intakes } = this.#options;
    const tune = (intake: Intake) => void this.#tune(intake);
    this.#timer = setInterval(() => intakes.forEach(tune), SECOND_MS).unref();
  }

  /** Idempotent. */
  stop(): void {
    clearInterval(this.#timer);
  }

  async #tune(intake: Intake): Promise<void> {
    if (await intake.endSecond()) this.#options.pipeline.giveBackBeyond(intake);
  }
}
