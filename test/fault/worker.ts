/** A worker that dies where it is told to. Waits, with all modules loaded, for an Assignment on standard input. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Lovage, Worker, createLogger, isLovageError } from 'lovage';
import { Pool } from 'pg';
import type { Assignment, Footprint, WorkerOrder } from './assignment.js';
import { FaultyResults } from './faulty-results.js';
import { FaultyTransport, Senders } from './faulty-transport.js';
import { Fuse } from './fuse.js';
import { listen, say } from './lines.js';
import { TASKS, setStage } from './tasks.js';
import { Witness } from './witness.js';

let stop: () => Promise<void> = async () => undefined;
let numbers: () => object = () => ({});

listen((document) => {
  const order = document as WorkerOrder;
  switch (order.kind) {
    case 'assign':
      return void start(order).catch((error: unknown) => {
        // It was stopped while it started, as others had done all the work.
        if (!isLovageError(error, 'LOVAGE_STOPPED')) fail(error);
      });
    case 'numbers':
      return say({ kind: 'numbers', ...numbers(), rssMb: process.memoryUsage().rss / 2 ** 20 });
    case 'footprint':
      return say({ kind: 'footprint', ...footprint() });
    case 'stop':
      return void stop().then(() => process.exit(0), fail);
  }
});

async function start(assignment: Assignment): Promise<void> {
  const { broker: url, results, schema, queue, concurrency, prefetch, plan, heartbeatMs } = assignment;
  const drivers = new Lovage({
    name: 'fault',
    broker: { url, ...(heartbeatMs !== undefined && { heartbeat: heartbeatMs }) },
    results: { url: results, schema },
  });
  const backend = await drivers.resultBackend();
  if (backend === null) throw new TypeError('expected an app with results');
  const witness = new Witness(prefetch, (violation) => say({ kind: 'violation', violation }));
  const options = { fuse: new Fuse(plan), witness, senders: new Senders() };
  const transport = new FaultyTransport(await drivers.transport(), options);
  const app = new Lovage({
    name: 'fault',
    broker: transport,
    results: { backend: new FaultyResults(backend, options), schema },
    defaultQueue: queue,
    // It is not tasks that end workers here: however often one dies with them, none is poison.
    worker: { unknownTaskGrace: 300, maxStarts: 1_000 },
  });
  app.register(...TASKS);
  if (process.env['FAULT_LOG'] !== undefined) {
    for (const { events } of [app, drivers]) events.on('warning', ({ message }) => console.error(process.pid, message));
  }
  // The ledger must outlive this process, not the database: no need to wait for the disk.
  const session = `-c search_path=${schema} -c synchronous_commit=off`;
  const ledger =
    assignment.ledger === null ? null : new Pool({ connectionString: assignment.ledger, max: 3, options: session });
  setStage({ app, ledger, fuse: options.fuse });
  const logger = createLogger({ level: 'error', format: 'text', color: false });
  const worker = new Worker(app, { concurrency, prefetch, logger });
  numbers = () => ({ ...witness.numbers, running: worker.running, consuming: worker.consuming });
  stop = async () => {
    await worker.stop();
    await app.stop();
    await transport.stop();
    await backend.stop();
    await ledger?.end();
  };
  await worker.start();
  say({ kind: 'ready' });
}

function footprint(): Footprint {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
  const { rss, heapUsed } = process.memoryUsage();
  return { rssMb: rss / 2 ** 20, heapMb: heapUsed / 2 ** 20, handles: process.getActiveResourcesInfo().length };
}

function fail(error: unknown): void {
  console.error(error);
  process.exit(1);
}
