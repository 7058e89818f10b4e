import type { Consumer, Delivery, Transport } from '@lovage/core';
import type { AdaptivePrefetch } from './prefetch/adaptive-prefetch.js';

/** A delivery and where it must be settled. */
export interface Held {
  readonly intake: Intake;
  readonly delivery: Delivery;
}

export interface IntakeOptions {
  /** The queue that is consumed: the task queue itself, or its `.lost`. */
  readonly source: string;
  readonly prefetch: number | AdaptivePrefetch;
  readonly receive: (intake: Intake, deliveries: readonly Delivery[]) => void;
  /** The broker has taken back all that this intake holds, and gives it to anyone. */
  readonly lost?: (intake: Intake) => void;
}

/** The worker's end of one queue: receives deliveries, and acknowledges together what was settled in one turn of the event loop. */
export class Intake {
  /** The task queue; that of a `.lost` queue is the one its messages were lost from. */
  readonly queue: string;
  #consumer: Consumer | null = null;
  /** null: the prefetch stays as it is. */
  #adaptive: AdaptivePrefetch | null = null;
  #prefetch = 0;
  #resized: Promise<void> = Promise.resolve();
  #settled: Delivery[] = [];
  #scheduled = false;
  #cancelled = false;
  readonly #flush = () => this.flush();

  constructor(queue: string) {
    this.queue = queue;
  }

  async open(transport: Transport, { source, prefetch, receive, lost }: IntakeOptions): Promise<void> {
    this.#adaptive = typeof prefetch === 'number' ? null : prefetch;
    this.#prefetch = typeof prefetch === 'number' ? prefetch : prefetch.limit;
    this.#consumer = await transport.consume({
      queue: source,
      prefetch: this.#prefetch,
      onDeliveries: (deliveries) => {
        this.#adaptive?.received(deliveries);
        this.#resize();
        receive(this, deliveries);
      },
      onLost: () => lost?.(this),
    });
    this.flush();
    // The worker was stopped while it still waited for the broker's answer: nobody else will close it.
    if (this.#cancelled) await this.#consumer.close();
  }

  /** False while the consumer is being restored, and after `cancel`. */
  get consuming(): boolean {
    return this.#consumer?.consuming ?? false;
  }

  /** This delivery is done with: it is acknowledged in this turn of the event loop. */
  settle(delivery: Delivery): void {
    this.#settled.push(delivery);
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(this.#flush);
  }

  /** Acknowledges at once what was settled. */
  flush(): void {
    this.#scheduled = false;
    // Deliveries may come, and be done with, before the broker's answer to `consume`.
    if (this.#consumer === null || this.#settled.length === 0) return;
    const settled = this.#settled;
    this.#settled = [];
    this.#consumer.ack(settled);
    this.#adaptive?.finished(settled);
    this.#resize();
  }

  /** A second has passed. Resolves, once the broker knows of a smaller prefetch, with whether what is `beyond` it is to be handed back. */
  async endSecond(): Promise<boolean> {
    const isExcessive = this.#adaptive?.endSecond() ?? false;
    this.#resize();
    if (isExcessive) await this.#resized;
    return isExcessive;
  }

  /** As `Consumer.beyond`. */
  beyond(deliveries: readonly Delivery[]): readonly Delivery[] {
    return this.#consumer?.beyond(deliveries) ?? [];
  }

  /** Hands deliveries back to the queue, as `Consumer.requeue`. */
  requeue(deliveries: readonly Delivery[]): void {
    this.#adaptive?.returned(deliveries);
    this.#consumer?.requeue(deliveries);
  }

  async cancel(): Promise<void> {
    this.#cancelled = true;
    await this.#consumer?.cancel();
  }

  async close(): Promise<void> {
    this.#cancelled = true;
    this.flush();
    await this.#consumer?.close();
  }

  #resize(): void {
    const prefetch = this.#adaptive?.limit ?? this.#prefetch;
    if (prefetch === this.#prefetch || this.#consumer === null || this.#cancelled) return;
    this.#prefetch = prefetch;
    this.#resized = this.#consumer.resize(prefetch);
  }
}
