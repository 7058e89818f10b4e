import { eventually } from '../support/eventually.js';
import type { Broker, WorkerOrder, WorkerWord } from './assignment.js';
import { type FaultPlan, type FaultPoint, faultPointsOf } from './fault-point.js';
import type { Hand, Hands } from './hand.js';
import { Random } from './random.js';
import type { Ground, Scene } from './scene.js';
import { FINAL, remains, wrongCauses, wrongRecords } from './verdict.js';
import { Caller, type Expected } from './wave.js';

export type WorkerHands = Hands<WorkerOrder, WorkerWord>;
type WorkerHand = Hand<WorkerOrder, WorkerWord>;

export interface KillRunOptions {
  readonly ground: Ground;
  readonly workers: WorkerHands;
  readonly seed: number;
  /** Default: RabbitMQ. */
  readonly broker?: Broker;
  /** Where the workers die, one after another; default: the seed says. */
  readonly points?: readonly FaultPoint[];
}

/** What one run came to. */
export interface KillRun {
  readonly seed: number;
  /** Where workers died. */
  readonly kills: readonly FaultPoint[];
  /** Where they were to die and nothing came. */
  readonly missed: readonly FaultPoint[];
  readonly tasks: number;
  readonly executions: number;
  /** Executions beyond one for each attempt: of what was in flight at a kill. */
  readonly extra: number;
  /** Rows of the outbox that dead workers held: a relay's, and of PostgreSQL as the broker another worker's. */
  readonly leftBehind: number;
  /** Rows that were written to the outbox, all in all. */
  readonly caused: number;
  readonly ms: number;
  /** What is not as promised; empty: nothing. */
  readonly violations: readonly string[];
}

const CONCURRENCY = 10;
const PREFETCH = 20;
/** In so many of the runs another worker lives through all the deaths, and leases end by themselves, after 15 or 30 s. */
const PAIRS = 0.1;
/** A worker that has not come to its end by then does not come to it. */
const DRAIN_MS = 45_000;

/** Kills workers at fault points while they work, then lets one drain and counts. */
export async function killRun({
  ground,
  workers,
  seed,
  broker = 'rabbitmq',
  points,
}: KillRunOptions): Promise<KillRun> {
  const started = performance.now();
  const random = new Random(seed);
  const scene = await ground.scene(broker);
  const isPair = points === undefined && random.chance(PAIRS);
  const run = new Run(scene, workers, { broker, random, isPair });
  try {
    // Where two share the work, few calls are for one of them.
    const isFirst = points !== undefined || isPair;
    const plans = (points ?? drawPoints(faultPointsOf(broker), random)).map((point) => planOf(point, random, isFirst));
    if (isPair) run.startPartner();
    for (const plan of plans) await run.live(plan);
    await run.live(null);
    await run.stopPartner();
    return { seed, ...(await run.report()), ms: performance.now() - started };
  } finally {
    await scene.close();
  }
}

/** Deliveries that a worker has not acknowledged. */
async function heldBy(worker: WorkerHand): Promise<number> {
  const answer = worker.next('numbers');
  worker.order({ kind: 'numbers' });
  const numbers = await answer;
  return numbers?.held ?? 0;
}

function drawPoints(points: readonly FaultPoint[], random: Random): readonly FaultPoint[] {
  return Array.from({ length: 2 + random.below(4) }, () => random.pick(points));
}

function planOf(point: FaultPoint, random: Random, isFirst: boolean): FaultPlan {
  // A wave has few calls of these.
  const most = /call|release/.test(point) ? 2 : 5;
  return { point, nth: isFirst ? 1 : 1 + Math.floor(random.next() ** 2 * most), turns: random.below(60) };
}

interface Snapshot {
  readonly pid: number;
  /** How many workers lived before the next one. */
  readonly lives: number;
  /** How far each task had come when that worker was dead. */
  readonly records: ReadonlyMap<string, { readonly state: string; readonly attempt: number }>;
}

class Run {
  readonly #scene: Scene;
  readonly #workers: WorkerHands;
  readonly #caller: Caller;
  readonly #expected: Expected[] = [];
  readonly #violations: string[] = [];
  readonly #kills: FaultPoint[] = [];
  readonly #missed: FaultPoint[] = [];
  readonly #deaths: Snapshot[] = [];
  readonly #lives: number[] = [];
  readonly #isPair: boolean;
  #partner: WorkerHand | null = null;
  #leftBehind = 0;

  constructor(
    scene: Scene,
    workers: WorkerHands,
    { broker, random, isPair }: { readonly broker: Broker; readonly random: Random; readonly isPair: boolean },
  ) {
    this.#scene = scene;
    this.#workers = workers;
    this.#isPair = isPair;
    this.#caller = new Caller({ app: scene.app, queue: scene.place.queue, broker, random });
  }

  /** Lets one worker live until it dies of its plan, or has nothing more to do. */
  async live(plan: FaultPlan | null): Promise<void> {
    const worker = this.#start(plan);
    // The last worker is only there to drain.
    if (plan !== null) this.#expected.push(...(await this.#caller.wave(8)));
    const isDone = await this.#drained(worker, plan);
    this.#heed(worker, plan?.point ?? 'drain');
    if (worker.end?.signal === 'SIGKILL' && plan !== null) {
      this.#kills.push(plan.point);
      this.#deaths.push({ pid: worker.pid, lives: this.#lives.length, records: await this.#records() });
      this.#leftBehind += await this.#leases();
      return;
    }
    if (plan !== null) this.#missed.push(plan.point);
    if (worker.end === null && isDone) return await this.#stop(worker, plan);
    const how = worker.end === null ? 'did not come to its end' : `ended with ${JSON.stringify(worker.end)}`;
    this.#violations.push(`${plan?.point ?? 'drain'}: the worker ${how} ${worker.errors}`);
    await worker.kill();
  }

  /** A worker that sees all the others die. */
  startPartner(): void {
    this.#partner = this.#start(null);
  }

  async stopPartner(): Promise<void> {
    if (this.#partner === null) return;
    const partner = this.#partner;
    await eventually(async () => {
      const held = await heldBy(partner);
      if (held > 0) throw new Error(`the partner holds ${held} deliveries`);
    });
    this.#heed(this.#partner, 'partner');
    await this.#stop(this.#partner, null);
  }

  async report(): Promise<Omit<KillRun, 'seed' | 'ms'>> {
    this.#violations.push(...(await wrongRecords(this.#scene, this.#expected)));
    this.#violations.push(...(await wrongCauses(this.#scene, this.#expected)));
    const { executions, extra } = await this.#checkExecutions();
    this.#violations.push(...(await remains(this.#scene, this.#expected)));
    return {
      kills: this.#kills,
      missed: this.#missed,
      tasks: this.#expected.length,
      executions,
      extra,
      leftBehind: this.#leftBehind,
      caused: await this.#scene.count('FROM caused'),
      violations: this.#violations,
    };
  }

  #start(plan: FaultPlan | null): WorkerHand {
    const worker = this.#workers.take();
    this.#lives.push(worker.pid);
    const { place } = this.#scene;
    worker.order({
      kind: 'assign',
      ...place,
      concurrency: CONCURRENCY,
      prefetch: PREFETCH,
      ledger: place.results,
      plan,
    });
    return worker;
  }

  async #stop(worker: WorkerHand, plan: FaultPlan | null): Promise<void> {
    worker.order({ kind: 'stop' });
    const end = await worker.ended;
    // On its way out it may reach its point after all.
    if (end.code !== 0 && plan === null)
      this.#violations.push(`a worker stopped with ${JSON.stringify(end)} ${worker.errors}`);
  }

  #heed(worker: WorkerHand, where: string): void {
    for (const word of worker.words)
      if (word.kind === 'violation') this.#violations.push(`${where}: ${word.violation}`);
  }

  /** The rows that a dead worker held; those of a living one are among them, so that these must wait for the end of their lease. */
  #leases(): Promise<number> {
    return this.#isPair ? this.#scene.leased() : this.#scene.endLeases();
  }

  /** Resolves with true once nothing is left to be done, or with false when the worker has ended or time is up. */
  async #drained(worker: WorkerHand, plan: FaultPlan | null): Promise<boolean> {
    let isDone = false;
    await eventually(
      async () => {
        if (worker.end !== null) return;
        const open = await this.#open();
        if (open.length > 0) throw new Error(open.join('; '));
        // A copy that it still looks up would go back to the queue.
        const held = await heldBy(worker);
        if (held > 0) throw new Error(`the worker holds ${held} deliveries`);
        if (worker.end !== null) return;
        isDone = true;
      },
      { timeoutMs: DRAIN_MS },
    ).catch((error: unknown) => {
      this.#violations.push(`${plan?.point ?? 'drain'}: not drained: ${String(error)}`);
    });
    return isDone;
  }

  /** What is still to be done; what costs more to find out is asked for last. */
  async #open(): Promise<readonly string[]> {
    const records = await this.#records();
    const open: string[] = [];
    for (const { id, kind, states, attempt, requeue } of this.#expected) {
      const record = records.get(id);
      if (requeue && record?.state === 'FAILURE' && record.attempt === 0) await this.#requeue(id);
      const isOver =
        states.length === 0 || (FINAL.has(record?.state ?? '') && (!requeue || record?.attempt === attempt));
      if (!isOver) open.push(`${kind} ${id} is ${record?.state ?? 'unknown'} at attempt ${record?.attempt}`);
    }
    if (open.length > 0) return open;
    const outbox = await this.#scene.count('FROM outbox');
    if (outbox > 0) return [`${outbox} rows in the outbox`];
    const ran = await this.#ran();
    const ignored = this.#expected.filter(({ id, states }) => states.length === 0 && !ran.has(id));
    if (ignored.length > 0) return ignored.map(({ id, kind }) => `${kind} ${id} has not run`);
    const [waiting] = await this.#scene.waiting();
    return waiting === 0 ? [] : [`${waiting} messages in the queue`];
  }

  /** By hand, while workers die. */
  async #requeue(id: string): Promise<void> {
    await this.#scene.app.requeue(id);
  }

  async #records(): Promise<Snapshot['records']> {
    const { rows } = await this.#scene.db.query<{ id: string; state: string; attempt: number }>(
      'SELECT id, state, attempt FROM task_results',
    );
    return new Map(rows.map(({ id, ...record }) => [id, record]));
  }

  async #ran(): Promise<ReadonlySet<string>> {
    const { rows } = await this.#scene.db.query<{ task_id: string }>('SELECT DISTINCT task_id FROM ledger');
    return new Set(rows.map(({ task_id }) => task_id));
  }

  /** Every attempt ran; more than once only where a worker died that held it, and never once its end was committed. */
  async #checkExecutions(): Promise<{ readonly executions: number; readonly extra: number }> {
    const { rows } = await this.#scene.db.query<{ task_id: string; attempt: number; pid: number }>(
      'SELECT task_id, attempt, pid FROM ledger ORDER BY n',
    );
    const kinds = new Map(this.#expected.map((expected) => [expected.id, expected]));
    const pids = new Map<string, number[]>();
    for (const { task_id, attempt, pid } of rows) {
      const key = `${task_id} ${attempt}`;
      pids.set(key, [...(pids.get(key) ?? []), pid]);
      const known = this.#deaths.find(({ lives, records }) => {
        if (this.#lives.indexOf(pid) < lives) return false;
        const record = records.get(task_id);
        return (
          record !== undefined && (record.attempt > attempt || (record.attempt === attempt && FINAL.has(record.state)))
        );
      });
      if (known !== undefined)
        this.#violations.push(`${kinds.get(task_id)?.kind} ${key} ran again in ${pid}, though its end was committed`);
    }
    for (const { id, kind, runs } of this.#expected) {
      for (const attempt of runs)
        if (!pids.has(`${id} ${attempt}`)) this.#violations.push(`${kind} ${id}: attempt ${attempt} never ran`);
    }
    const killed = new Set(this.#deaths.map(({ pid }) => pid));
    const lost = new Map<number, number>();
    for (const [key, runs] of pids) {
      if (new Set(runs).size < runs.length) this.#violations.push(`${key} ran twice in one worker: ${runs.join()}`);
      for (const pid of runs.slice(0, -1)) {
        if (!killed.has(pid)) this.#violations.push(`${key} ran again, though ${pid}, which ran it, was not killed`);
        lost.set(pid, (lost.get(pid) ?? 0) + 1);
      }
    }
    for (const [pid, count] of lost)
      if (count > PREFETCH) this.#violations.push(`${count} tasks ran again for the death of ${pid}`);
    return { executions: rows.length, extra: rows.length - pids.size };
  }
}
