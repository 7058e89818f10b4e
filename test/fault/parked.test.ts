import path from 'node:path';
import { Lovage } from 'lovage';
import { Client } from 'pg';
import { eventually } from '../support/eventually.js';
import { type IsolatedBroker, isolatedBroker } from '../support/isolated-broker.js';
import { type IsolatedResults, isolatedResults } from '../support/isolated-results.js';
import { type WorkerProcess, runLovage, startWorker } from '../support/lovage-process.js';
import { TcpProxy } from '../support/tcp-proxy.js';
import { Random } from './random.js';

const APP = path.join(__dirname, 'parked', 'app.ts');
/** Other durations, other victims: FAULT_SEED=7 PARKED_TASKS=300 npm test -- fault/parked */
const SEED = Number(process.env['FAULT_SEED'] ?? 1);
const TASKS = Number(process.env['PARKED_TASKS'] ?? 48);
/** Parked after 3 s, with a lease of 1 s. RabbitMQ itself waits longer here: that it is kept within its time is tested elsewhere. */
const TIMEOUT_MS = 6_000;
const CREW = 3;
/** As many as are held when somebody dies, at least. */
const PARKED = 3;

interface Run {
  readonly n: number;
  readonly pid: number;
}

describe(`workers that end while tasks of theirs are parked (seed ${SEED})`, () => {
  jest.setTimeout(300_000);
  const random = new Random(SEED);
  const dead = new Set<number>();
  let broker: IsolatedBroker;
  let results: IsolatedResults;
  let link: TcpProxy;
  let app: Lovage;
  let db: Client;
  let crew: WorkerProcess[] = [];
  const all: WorkerProcess[] = [];

  beforeAll(async () => {
    [broker, results] = await Promise.all([isolatedBroker(), isolatedResults()]);
    link = await TcpProxy.start(results.url);
    expect(await runLovage(['migrate', '-A', APP], { env: environment() })).toMatchObject({ code: 0 });
    db = new Client({ connectionString: results.url });
    await db.connect();
    await db.query('CREATE TABLE ledger (ordinal serial, n integer NOT NULL, pid integer NOT NULL)');
    app = new Lovage({ name: 'parked', broker: broker.url, results: results.url });
  });

  afterEach(async () => {
    await Promise.all(crew.map((worker) => worker.kill()));
    crew = [];
    await db.query('TRUNCATE ledger; TRUNCATE lovage.task_results');
  });

  afterAll(async () => {
    await app?.stop();
    await db?.end();
    await link?.stop();
    await Promise.all([broker?.drop(), results?.drop()]);
  });

  it('lose none, and run again only those that the dead held', async () => {
    const ends = Array.from({ length: Math.ceil(TASKS / 20) }, (_, index) => (index % 3 === 2 ? 'stop' : 'kill'));
    await begin();
    for (const how of random.shuffled(ends)) {
      const victim = await holder();
      if (victim === null) break;
      dead.add(victim.pid);
      await victim[how]();
      crew = [...crew.filter((worker) => worker !== victim), await start()];
    }
    await expectAllEnded();
    const runs = await ledger();
    expect(runs.size).toBe(TASKS);
    const again = [...runs.values()].filter((pids) => pids.length > 1);
    // Fewer may die than were to: on a slow machine all has ended before.
    expect(dead.size).toBeGreaterThanOrEqual(1);
    expect(again.length).toBeGreaterThanOrEqual(PARKED);
    // Twice for one death, where that came between the row and the acknowledgement: two copies were left.
    const causeless = again.filter((pids) => pids.length > 1 + 2 * pids.filter((pid) => dead.has(pid)).length);
    expect(causeless).toEqual([]);
  });

  it('commit the first end of each where leases end while the database is away', async () => {
    await begin();
    await holder();
    await link.refuse();
    await eventually(() => expect(all.flatMap(({ log }) => log.filter(hasLost)).length).toBeGreaterThanOrEqual(CREW), {
      timeoutMs: 30_000,
    });
    // Nobody can renew now: these are over, and a relay takes them first.
    await db.query(`UPDATE lovage.outbox SET due_at = now() - interval '1 minute'`);
    await link.accept();
    await expectAllEnded();
    expect((await ledger()).size).toBe(TASKS);
  });

  async function begin(): Promise<void> {
    crew = await Promise.all(Array.from({ length: CREW }, start));
    const calls = Array.from(
      { length: TASKS },
      (_, n) => [n, TIMEOUT_MS / 3 + random.below(4_000)] as [number, number],
    );
    await app.task<[n: number, ms: number], number>('long.record').delayMany(calls);
  }

  /** A worker that has parked some tasks which have not ended; null: all have. */
  async function holder(): Promise<WorkerProcess | null> {
    return await eventually(
      async () => {
        const found = random.shuffled(crew).find((worker) => parkedBy(worker) >= PARKED);
        if (found === undefined && (await ended()) < TASKS) throw new Error(`parked: ${crew.map(parkedBy).join()}`);
        return found ?? null;
      },
      { timeoutMs: 60_000 },
    );
  }

  async function expectAllEnded(): Promise<void> {
    await eventually(async () => expect(await ended()).toBe(TASKS), { timeoutMs: 120_000 });
    // Copies that came late are dropped, and rows of theirs.
    const { capabilities } = await app.connectBroker();
    await eventually(
      async () => {
        expect((await db.query('SELECT task_id FROM lovage.outbox')).rows).toEqual([]);
        const depths = await capabilities.inspect?.depths(['lovage', 'lovage.lost', 'lovage.dead']);
        expect(depths?.map((depth) => depth?.messages)).toEqual([0, 0, 0]);
      },
      { timeoutMs: 30_000 },
    );
    expect((await db.query('SELECT count(*)::int AS count FROM lovage.task_results')).rows).toEqual([{ count: TASKS }]);
  }

  /** How many tasks have their own result. */
  async function ended(): Promise<number> {
    const { rows } = await db.query<{ count: number }>(
      "SELECT count(*)::int FROM lovage.task_results WHERE state = 'SUCCESS' AND result = args->0",
    );
    return rows[0]?.count ?? 0;
  }

  /** Who ran each task, in order. */
  async function ledger(): Promise<ReadonlyMap<number, readonly number[]>> {
    const runs = new Map<number, number[]>();
    for (const { n, pid } of (await db.query<Run>('SELECT n, pid FROM ledger ORDER BY ordinal')).rows)
      runs.set(n, [...(runs.get(n) ?? []), pid]);
    return runs;
  }

  async function start(): Promise<WorkerProcess> {
    const worker = await startWorker(['-A', APP], { env: environment() });
    all.push(worker);
    return worker;
  }

  function environment(): NodeJS.ProcessEnv {
    return {
      LOVAGE_BROKER: broker.url,
      LOVAGE_RESULTS: link.url,
      LEDGER: results.url,
      LOVAGE_BROKER_CONSUMER_TIMEOUT: String(TIMEOUT_MS),
      LOVAGE_WORKER_CONCURRENCY: '8',
      // It is not tasks that end workers here.
      LOVAGE_WORKER_MAX_STARTS: '1000',
      LOVAGE_WORKER_SHUTDOWN_TIMEOUT: '0s',
    };
  }
});

function parkedBy({ log }: WorkerProcess): number {
  const ended = new Set(log.filter(({ event }) => event === 'task:succeeded').map(({ id }) => id));
  return log.filter(({ event, id }) => event === 'task:parked' && !ended.has(id)).length;
}

function hasLost({ event, message }: { readonly event?: string; readonly message: string }): boolean {
  return event === 'warning' && message.startsWith('storing results failed');
}
