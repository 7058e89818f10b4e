import path from 'node:path';
import { Lovage } from 'lovage';
import { Client } from 'pg';
import { eventually } from '../support/eventually.js';
import { type IsolatedBroker, isolatedBroker } from '../support/isolated-broker.js';
import { type IsolatedResults, isolatedResults } from '../support/isolated-results.js';
import { type WorkerProcess, runLovage, startWorker } from '../support/lovage-process.js';

const APP = path.join(__dirname, 'crash', 'app.ts');
const TASKS = 5_000;
const CONCURRENCY = 25;
const PREFETCH = 100;
/** Another seed, other moments of death: CRASH_SEED=7 npm test -- crash */
const SEED = Number(process.env['CRASH_SEED'] ?? 1);

/** One worker that was killed, and what was known at its death. */
interface Kill {
  readonly pid: number;
  /** The tasks whose SUCCESS was stored by then. */
  readonly recorded: ReadonlySet<number>;
}

describe(`a worker killed three times in the middle of ${TASKS} tasks (seed ${SEED})`, () => {
  jest.setTimeout(180_000);
  let broker: IsolatedBroker;
  let results: IsolatedResults;
  let db: Client;
  let app: Lovage;
  let worker: WorkerProcess | undefined;
  const kills: Kill[] = [];

  beforeAll(async () => {
    [broker, results] = await Promise.all([isolatedBroker(), isolatedResults()]);
    const migrated = await runLovage(['migrate', '-A', APP], { env: environment() });
    expect(migrated).toMatchObject({ code: 0 });
    db = new Client({ connectionString: results.url });
    await db.connect();
    await db.query('CREATE TABLE ledger (n integer NOT NULL, pid integer NOT NULL)');
    app = new Lovage({ name: 'crash', broker: broker.url, results: results.url });

    await app.task<[n: number], number>('crash.record').delayMany(Array.from({ length: TASKS }, (_, n) => [n]));
    for (const executions of momentsOfDeath()) {
      worker = await startWorker(['-A', APP], { env: environment() });
      await eventually(async () => expect(await ledgerSize()).toBeGreaterThanOrEqual(executions), {
        timeoutMs: 60_000,
      });
      await worker.kill();
      kills.push({ pid: worker.pid, recorded: await recordedTasks() });
    }
    worker = await startWorker(['-A', APP], { env: environment() });
    await eventually(async () => expect((await recordedTasks()).size).toBe(TASKS), { timeoutMs: 60_000 });
    expect(await worker.stop()).toBe(0);
  });

  afterAll(async () => {
    await worker?.kill();
    await app?.stop();
    await db?.end();
    await broker?.drop();
    await results?.drop();
  });

  it('was in the middle of them each time', () => {
    const recorded = [0, ...kills.map((kill) => kill.recorded.size), TASKS];
    for (let index = 1; index < recorded.length; index++) {
      expect(recorded[index]).toBeGreaterThan(recorded[index - 1] ?? 0);
    }
  });

  it('loses none: each task has one record, SUCCESS, with its own result', async () => {
    const { rows } = await db.query<Row>(
      `SELECT state, count(*)::int AS records, count(DISTINCT args->>0)::int AS tasks, bool_and(result = args->0) AS own
       FROM lovage.task_results GROUP BY state`,
    );
    expect(rows).toEqual([{ state: 'SUCCESS', records: TASKS, tasks: TASKS, own: true }]);
  });

  it('leaves nothing in the queues', async () => {
    const { capabilities } = await app.connectBroker();
    const depths = await capabilities.inspect?.depths(['lovage', 'lovage.lost', 'lovage.dead']);
    expect(depths?.map((depth) => depth?.messages)).toEqual([0, 0, 0]);
  });

  it('runs a task again only if a killed worker held it', async () => {
    const runs = await pidsOfTasks();
    expect(runs.size).toBe(TASKS);
    const repeated = [...runs].filter(([, pids]) => pids.length > 1);
    for (const [, pids] of repeated) {
      const killed = pids.slice(0, -1);
      // Never twice in one worker, and each run but the last in one that was killed.
      expect(new Set(pids).size).toBe(pids.length);
      expect(kills.map(({ pid }) => pid)).toEqual(expect.arrayContaining(killed));
    }
    for (const { pid } of kills) {
      expect(repeated.filter(([, pids]) => pids.slice(0, -1).includes(pid)).length).toBeLessThanOrEqual(PREFETCH);
    }
  });

  it('runs no task again whose record was stored, though it was not acknowledged', async () => {
    const order = kills.map(({ pid }) => pid);
    const runs = await pidsOfTasks();
    for (const [index, { recorded }] of kills.entries()) {
      const before = new Set(order.slice(0, index + 1));
      const again = [...recorded].filter((n) => runs.get(n)?.some((pid) => !before.has(pid)));
      expect(again).toEqual([]);
    }
  });

  interface Row {
    readonly [column: string]: unknown;
  }

  function environment(): NodeJS.ProcessEnv {
    return {
      LOVAGE_BROKER: broker.url,
      LOVAGE_RESULTS: results.url,
      LOVAGE_WORKER_CONCURRENCY: String(CONCURRENCY),
      LOVAGE_WORKER_PREFETCH: String(PREFETCH),
    };
  }

  async function ledgerSize(): Promise<number> {
    const { rows } = await db.query<{ readonly count: number }>('SELECT count(*)::int AS count FROM ledger');
    return rows[0]?.count ?? 0;
  }

  async function recordedTasks(): Promise<ReadonlySet<number>> {
    const { rows } = await db.query<{ readonly n: number }>(
      `SELECT (args->>0)::int AS n FROM lovage.task_results WHERE state = 'SUCCESS'`,
    );
    return new Set(rows.map(({ n }) => n));
  }

  /** The workers that ran each task, in the order in which they lived. */
  async function pidsOfTasks(): Promise<ReadonlyMap<number, readonly number[]>> {
    const { rows } = await db.query<{ readonly n: number; readonly pid: number }>('SELECT n, pid FROM ledger');
    const lives = [...kills.map(({ pid }) => pid), worker?.pid];
    const pids = new Map<number, number[]>();
    for (const { n, pid } of rows) pids.set(n, [...(pids.get(n) ?? []), pid]);
    for (const each of pids.values()) each.sort((a, b) => lives.indexOf(a) - lives.indexOf(b));
    return pids;
  }
});

/** After how many executions each worker dies: in the first, second and third quarter of the work. */
function momentsOfDeath(): readonly number[] {
  const quarter = TASKS / 4;
  let state = SEED;
  return [0, 1, 2].map((index) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((index + 0.25 + (state / 2 ** 32) * 0.5) * quarter);
  });
}
