import { Lovage } from 'lovage';
import { eventually } from '../support/eventually.js';
import type { Footprint } from './assignment.js';
import { Crew } from './crew.js';
import { DISTURBANCES, type DisturbanceName, type Theatre } from './disturbance.js';
import { type Executions, type Window, checkExecutions } from './executions.js';
import type { WorkerHands } from './kill-run.js';
import { Load } from './load.js';
import { Random } from './random.js';
import type { StormGround } from './storm-ground.js';
import { FINAL, remains, wrongCauses, wrongRecords } from './verdict.js';

export interface StormOptions {
  readonly ground: StormGround;
  readonly workers: WorkerHands;
  readonly seed: number;
  /** What happens; the seed says in which order. */
  readonly disturbances: readonly DisturbanceName[];
  /** What lasts does so for one second up to so many milliseconds, as the seed says. */
  readonly longestMs: number;
}

/** One disturbance, and what it took until all was well again. */
export interface Strike {
  readonly name: DisturbanceName;
  readonly lastedMs: number;
  /** From its end until each worker consumed, and had committed and acknowledged something. */
  readonly recoveryMs: number;
}

export interface Storm extends Executions {
  readonly seed: number;
  readonly strikes: readonly Strike[];
  readonly tasks: number;
  /** Tries of calls that failed, and were made again. */
  readonly failedCalls: number;
  /** The largest of the crew, before the first disturbance and after the last. */
  readonly before: Footprint;
  readonly after: Footprint;
  readonly ms: number;
  readonly violations: readonly string[];
}

const CREW = 3;
const CONCURRENCY = 10;
const PREFETCH = 20;
/** So that a link that is stalled for some seconds is found dead; in a cluster soon enough to consume at another node within the time. */
const HEARTBEAT_MS = { alone: 5_000, cluster: 2_000 };
/** What each worker has done before it is measured. */
const WARM = 60;
/** Each consumes again within so long of a disturbance's end. */
const RECOVERY_MS = 10_000;
/** What a worker may have more, at rest, than before. */
const GROWTH_MB = 24;
const DRAIN_MS = 120_000;

/** Lets one disturbance after another strike several workers under a steady load, then lets them drain, and counts. */
export async function stormRun({ ground, workers, seed, disturbances, longestMs }: StormOptions): Promise<Storm> {
  const started = performance.now();
  const random = new Random(seed);
  // First, so that the seed decides it, however many calls there come to be.
  const plan = random
    .shuffled(disturbances)
    .map((name) => ({ name, lastsMs: 1_000 + random.below(longestMs - 1_000 + 1) }));
  const violations: string[] = [];
  const scene = await ground.scene();
  const broker = ground.nodes.map(({ link }) => link.url);
  const place = { ...scene.place, broker, results: ground.results.link.url };
  const heartbeatMs = broker.length === 1 ? HEARTBEAT_MS.alone : HEARTBEAT_MS.cluster;
  const crew = new Crew(workers, {
    kind: 'assign',
    ...place,
    ledger: ground.ledger.url,
    heartbeatMs,
    concurrency: CONCURRENCY,
    prefetch: PREFETCH,
    plan: null,
  });
  const app = new Lovage({
    name: 'caller',
    broker: { url: broker, heartbeat: heartbeatMs },
    results: { url: place.results, schema: place.schema },
    defaultQueue: place.queue,
  });
  const load = new Load(app, new Random(seed));
  try {
    load.begin();
    await crew.muster(CREW);
    await eventually(
      async () => {
        const done = (await crew.numbers()).map(({ acknowledged }) => acknowledged);
        if (Math.min(...done) < WARM) throw new Error(`acknowledged: ${done.join()}`);
      },
      { timeoutMs: 60_000 },
    );
    await load.pause();
    await drained();
    const before = largest(await crew.footprints());
    load.begin();

    const strikes: Strike[] = [];
    const windows: Window[] = [];
    for (const { name, lastsMs } of plan) {
      const theatre: Theatre = { ground, crew, load, scene, drained, random, lastsMs };
      const from = Date.now();
      const mend = await DISTURBANCES[name](theatre);
      const over = Date.now();
      await crew
        .consuming()
        .catch((error: unknown) =>
          violations.push(
            `${name}: ${String(error)}; ${load.calls.length} calls, the last failed with ${load.lastFailure}`,
          ),
        );
      const well = Date.now();
      await mend?.();
      const to = Date.now();
      windows.push({ from, to });
      strikes.push({ name, lastedMs: over - from, recoveryMs: well - over });
      if (well - over > RECOVERY_MS) violations.push(`${name}: consuming again only ${well - over} ms after its end`);
    }

    await load.pause();
    await drained().catch((error: unknown) => violations.push(`not drained: ${String(error)}`));
    const expected = load.calls.map((call) => call.expected);
    violations.push(...(await wrongRecords(scene, expected, load.strays)));
    violations.push(...(await wrongCauses(scene, expected)));
    violations.push(...(await remains(scene, expected)));
    const executions = await checkExecutions(scene, { calls: load.calls, windows });
    const after = await atRest(before).catch((error: unknown) => {
      violations.push(String(error));
      return crew.footprints().then(largest);
    });
    violations.push(...(await crew.dismiss()));
    return {
      seed,
      strikes,
      tasks: expected.length,
      failedCalls: load.failed,
      before,
      after,
      ms: performance.now() - started,
      ...executions,
      violations: [...violations, ...executions.violations],
    };
  } finally {
    await load.pause().catch(() => undefined);
    await crew.kill();
    await app.stop();
    await scene.close();
  }

  async function drained(): Promise<void> {
    await eventually(
      async () => {
        const { rows } = await scene.db.query<{ id: string; state: string; attempt: number }>(
          'SELECT id, state, attempt FROM task_results',
        );
        const states = new Map(rows.map(({ id, state }) => [id, state]));
        const open = load.calls.filter(({ expected }) => !FINAL.has(states.get(expected.id) ?? ''));
        const [first] = open;
        if (first !== undefined)
          throw new Error(
            `${open.length} tasks are open, one of them ${first.expected.kind} ${first.expected.id}: ${states.get(first.expected.id)}`,
          );
        const rowsLeft = await scene.count('FROM outbox');
        const held = (await crew.numbers()).reduce((sum, numbers) => sum + numbers.held, 0);
        const [waiting] = await scene.waiting();
        if (rowsLeft + held + (waiting ?? 0) > 0)
          throw new Error(`${rowsLeft} rows in the outbox, ${held} deliveries held, ${waiting} messages wait`);
      },
      { timeoutMs: DRAIN_MS },
    );
  }

  /** Once connections that the disturbances called for have been given up. */
  async function atRest(before: Footprint): Promise<Footprint> {
    return await eventually(
      async () => {
        const after = largest(await crew.footprints());
        if (after.handles > before.handles)
          throw new Error(`a worker has ${after.handles} open handles, ${before.handles} before`);
        if (after.heapMb > before.heapMb + GROWTH_MB)
          throw new Error(`a worker's heap is ${after.heapMb.toFixed(0)} MB, ${before.heapMb.toFixed(0)} MB before`);
        return after;
      },
      { timeoutMs: 30_000 },
    );
  }
}

function largest(footprints: readonly Footprint[]): Footprint {
  const most = (of: (footprint: Footprint) => number): number => Math.max(...footprints.map(of));
  return {
    rssMb: most(({ rssMb }) => rssMb),
    heapMb: most(({ heapMb }) => heapMb),
    handles: most(({ handles }) => handles),
  };
}
