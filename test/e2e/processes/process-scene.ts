import path from 'node:path';
import { Lovage } from 'lovage';
import { Client } from 'pg';
import { eventually } from '../../support/eventually.js';
import { type IsolatedBroker, isolatedBroker } from '../../support/isolated-broker.js';
import { type IsolatedResults, isolatedResults } from '../../support/isolated-results.js';
import { type LogLine, type WorkerProcess, runLovage, startWorker } from '../../support/lovage-process.js';
import { commandOf, descendants, isAlive } from '../../support/process-tree.js';

export const APP = path.join(__dirname, 'app.ts');

/** Services of its own, an app that sends, and supervised workers. */
export class ProcessScene {
  readonly broker: IsolatedBroker;
  readonly results: IsolatedResults;
  readonly app: Lovage;
  readonly db: Client;
  readonly #workers: SupervisedWorker[] = [];

  private constructor(broker: IsolatedBroker, results: IsolatedResults, db: Client) {
    this.broker = broker;
    this.results = results;
    this.db = db;
    this.app = new Lovage({ name: 'processes', broker: broker.url, results: results.url });
  }

  static async open(): Promise<ProcessScene> {
    const [broker, results] = await Promise.all([isolatedBroker(), isolatedResults()]);
    const db = new Client({ connectionString: results.url });
    await db.connect();
    const scene = new ProcessScene(broker, results, db);
    expect(await runLovage(['migrate', '-A', APP], { env: scene.env })).toMatchObject({ code: 0 });
    await db.query('CREATE TABLE ledger (task text, n integer, pid integer, at serial)');
    await db.query('CREATE TABLE releases (n integer)');
    return scene;
  }

  get env(): NodeJS.ProcessEnv {
    return { LOVAGE_BROKER: this.broker.url, LOVAGE_RESULTS: this.results.url };
  }

  /** A worker without a supervisor. */
  startSingle(env: NodeJS.ProcessEnv = {}): Promise<SupervisedWorker> {
    return this.#start([], env);
  }

  /** Resolves when all of its processes consume. */
  async start(processes: number, args: readonly string[] = [], env: NodeJS.ProcessEnv = {}): Promise<SupervisedWorker> {
    const supervised = await this.#start(['--processes', `${processes}`, ...args], env);
    await eventually(() => expect(supervised.events('worker:ready').length).toBeGreaterThanOrEqual(processes), {
      timeoutMs: 20_000,
    });
    return supervised;
  }

  async #start(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<SupervisedWorker> {
    const worker = new SupervisedWorker(await startWorker(['-A', APP, ...args], { env: { ...this.env, ...env } }));
    this.#workers.push(worker);
    return worker;
  }

  send(task: string, ...args: readonly unknown[]) {
    return this.app.task<unknown[], number>(`processes.${task}`).delay(...args);
  }

  /** The processes in which a task was run, in order. */
  async pidsOf(task: string, n: number): Promise<readonly number[]> {
    const { rows } = await this.db.query<{ pid: number }>(
      'SELECT pid FROM ledger WHERE task = $1 AND n = $2 ORDER BY at',
      [task, n],
    );
    return rows.map(({ pid }) => pid);
  }

  /** Resolves with the process that a task has begun in, for the last time so far. */
  async begun(task: string, n: number, times = 1): Promise<number> {
    const pids = await eventually(
      async () => {
        const found = await this.pidsOf(task, n);
        expect(found).toHaveLength(times);
        return found;
      },
      { timeoutMs: 20_000 },
    );
    return pids.at(-1) as number;
  }

  /** Lets a `hold` end. */
  async release(n: number): Promise<void> {
    await this.db.query('INSERT INTO releases VALUES ($1)', [n]);
  }

  /** Ends whatever runs. */
  async endWorkers(): Promise<void> {
    await Promise.all(this.#workers.splice(0).map((worker) => worker.end()));
  }

  async close(): Promise<void> {
    await this.endWorkers();
    await this.app.stop();
    await this.db.end();
    await this.broker.drop();
    await this.results.drop();
  }
}

/** `lovage worker`, with or without processes of its own. */
export class SupervisedWorker {
  readonly worker: WorkerProcess;

  constructor(worker: WorkerProcess) {
    this.worker = worker;
  }

  events(name: string): readonly LogLine[] {
    return this.worker.log.filter(({ event }) => event === name);
  }

  /** Its worker processes, now. */
  get children(): readonly number[] {
    return descendants(this.worker.pid).filter((pid) => commandOf(pid).includes('worker-entry.js'));
  }

  /** What was said of its processes' ends and successors. */
  get reports(): readonly string[] {
    return this.events('worker:process').map(({ message }) => message);
  }

  signal(name: NodeJS.Signals): void {
    process.kill(this.worker.pid, name);
  }

  /** At the end of a test, however that ended: nothing is left. */
  async end(): Promise<void> {
    const children = this.children;
    await this.worker.kill();
    for (const pid of children) if (isAlive(pid)) process.kill(pid, 'SIGKILL');
  }
}
