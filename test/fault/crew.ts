import { eventually } from '../support/eventually.js';
import type { Assignment, Footprint, WorkerNumbers, WorkerOrder, WorkerWord } from './assignment.js';
import type { Hand } from './hand.js';
import type { WorkerHands } from './kill-run.js';
import type { Random } from './random.js';

type WorkerHand = Hand<WorkerOrder, WorkerWord>;

/** How long a worker has to come to itself before that is given up. */
const READY_MS = 60_000;

/** Several worker processes that share a queue. One that is killed is replaced. */
export class Crew {
  readonly #hands: WorkerHands;
  readonly #assignment: Assignment;
  readonly #members: WorkerHand[] = [];
  readonly #violations: string[] = [];
  #killed = 0;

  constructor(hands: WorkerHands, assignment: Assignment) {
    this.#hands = hands;
    this.#assignment = assignment;
  }

  /** How many were killed. */
  get killed(): number {
    return this.#killed;
  }

  /** Resolves when so many workers consume. */
  async muster(size: number): Promise<void> {
    for (let count = 0; count < size; count++) this.#members.push(this.#hire());
    await this.consuming();
  }

  /** Kills one, and lets another take its place. */
  async killOne(random: Random): Promise<void> {
    const index = random.below(this.#members.length);
    const [victim] = this.#members.splice(index, 1, this.#hire());
    this.#killed += 1;
    this.#heed(victim as WorkerHand);
    await victim?.kill();
  }

  /** Resolves when each of them consumes, and has committed and acknowledged something that it was given since the call. */
  async consuming(): Promise<void> {
    const before = await this.numbers();
    await eventually(
      async () => {
        const now = await this.numbers();
        const idle = now.filter(({ consuming, acknowledged }, index) => {
          const then = before[index];
          return !consuming || acknowledged <= (then?.acknowledged ?? 0) + (then?.held ?? 0);
        });
        if (idle.length > 0)
          throw new Error(`${idle.length} of ${now.length} workers do not consume: ${JSON.stringify({ before, now })}`);
      },
      { timeoutMs: READY_MS },
    );
  }

  /** Of each, in their order. */
  numbers(): Promise<readonly WorkerNumbers[]> {
    return Promise.all(this.#members.map((member) => ask(member, 'numbers')));
  }

  footprints(): Promise<readonly Footprint[]> {
    return Promise.all(this.#members.map((member) => ask(member, 'footprint')));
  }

  /** Stops them all; resolves with what was wrong with any of them. */
  async dismiss(): Promise<readonly string[]> {
    for (const member of this.#members) {
      this.#heed(member);
      member.order({ kind: 'stop' });
      const { code } = await member.ended;
      if (code !== 0) this.#violations.push(`a worker ended with ${code}: ${member.errors}`);
    }
    this.#members.length = 0;
    return this.#violations;
  }

  async kill(): Promise<void> {
    await Promise.all(this.#members.splice(0).map((member) => member.kill()));
  }

  #hire(): WorkerHand {
    const member = this.#hands.take();
    member.order(this.#assignment);
    return member;
  }

  #heed({ words, end, errors }: WorkerHand): void {
    if (end !== null) this.#violations.push(`a worker ended by itself with ${JSON.stringify(end)}: ${errors}`);
    for (const word of words) if (word.kind === 'violation') this.#violations.push(word.violation);
  }
}

async function ask<K extends 'numbers' | 'footprint'>(
  member: WorkerHand,
  kind: K,
): Promise<Extract<WorkerWord, { readonly kind: K }>> {
  const answer = member.next(kind);
  member.order({ kind });
  const word = await answer;
  if (word === null) throw new TypeError(`expected a worker that lives: ${member.errors}`);
  return word;
}
