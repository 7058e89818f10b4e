import type { Delivery, Message, Runtime } from '@lovage/core';
import type { Held, Intake } from './intake.js';

/** What this worker has of one message: its deliveries, none of them acknowledged, or else the row of the outbox that it is parked in. */
export class Custody {
  readonly #runtime: Runtime;
  readonly #own: Held;
  #isOwnHeld = true;
  #copies: Held[] | null = null;
  /** null: no delivery is held. */
  #heldSince: number | null;
  #row: string | null = null;
  #wasParked = false;

  constructor(own: Held, runtime: Runtime) {
    this.#own = own;
    this.#runtime = runtime;
    this.#heldSince = runtime.monotonic();
  }

  /** The delivery that it came with. */
  get delivery(): Delivery {
    return this.#own.delivery;
  }

  get message(): Message {
    return this.#own.delivery.message;
  }

  get redelivered(): boolean {
    return this.#own.delivery.redelivered;
  }

  /** How long a delivery has been unacknowledged, in milliseconds; null: none is held. */
  get heldMs(): number | null {
    return this.#heldSince === null ? null : this.#runtime.monotonic() - this.#heldSince;
  }

  /** The row that the message is, or may be, parked in; null: none that matters. */
  get row(): string | null {
    return this.#row;
  }

  /** A copy may come from a row, whatever has become of it since. */
  get wasParked(): boolean {
    return this.#wasParked;
  }

  /** Its own delivery came through this intake. */
  isFrom(intake: Intake): boolean {
    return this.#own.intake === intake;
  }

  /**
   * Another copy of the same message. Returns the row that is not to be relied on any more: a relay may have sent this copy, and be about to delete the row that it
   * was. null: there is none.
   */
  takeOver(copy: Held): string | null {
    (this.#copies ??= []).push(copy);
    this.#heldSince ??= this.#runtime.monotonic();
    const row = this.#row;
    this.#row = null;
    return row;
  }

  /** The row that the message is to be parked in: the same one until a copy comes. */
  beginParking(): string {
    this.#wasParked = true;
    return (this.#row ??= this.#runtime.uuid());
  }

  /** The row has been written: acknowledges every delivery. False: it is not wanted any more, as a copy has come. */
  park(row: string): boolean {
    if (this.#row !== row) return false;
    this.acknowledge();
    return true;
  }

  /** The row is not there any more: a relay has sent it. */
  unpark(row: string): void {
    if (this.#row === row) this.#row = null;
  }

  /** Acknowledges every delivery. */
  acknowledge(): void {
    if (this.#isOwnHeld) this.#own.intake.settle(this.#own.delivery);
    if (this.#copies !== null) for (const { intake, delivery } of this.#copies) intake.settle(delivery);
    this.#isOwnHeld = false;
    this.#copies = null;
    this.#heldSince = null;
  }

  /** Every delivery, to be handed back. Where there is none, `row` is to be. */
  giveUp(): readonly Held[] {
    if (this.#heldSince !== null) this.#row = null;
    const copies = this.#copies ?? [];
    return this.#isOwnHeld ? [this.#own, ...copies] : copies;
  }
}
