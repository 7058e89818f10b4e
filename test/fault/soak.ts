/** npm run soak [-- --minutes 30 --svg soak.svg]: keeps workers under load, and draws what they take up. Only where /proc tells that. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Lovage } from 'lovage';
import { eventually } from '../support/eventually.js';
import { isolatedBroker } from '../support/isolated-broker.js';
import { isolatedResults } from '../support/isolated-results.js';
import { runLovage } from '../support/lovage-process.js';
import { type Series, svgOf } from './plot.js';
import { table } from './report.js';

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '30' },
    /** Worker processes. */
    workers: { type: 'string', default: '2' },
    /** Calls a second. */
    rate: { type: 'string', default: '200' },
    /** Where to draw. */
    svg: { type: 'string', default: 'soak.svg' },
  },
});
const MINUTES = Number(values.minutes);
const WORKERS = Number(values.workers);
const RATE = Number(values.rate);

const APP = path.join(__dirname, 'fuzz', 'app.ts');
const LOVAGE = path.join(__dirname, '..', '..', 'packages', 'lovage', 'bin', 'lovage.js');
const TICK_MS = 100;
const SAMPLE_MS = 5_000;
/** What is compared at the end: the mean over so much of the run, after a first minute to warm up, and of its last. */
const SHARE = 0.2;

interface Sample {
  readonly minute: number;
  readonly rssMb: number;
  readonly handles: number;
}

void main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});

async function main(): Promise<void> {
  const [broker, results] = await Promise.all([isolatedBroker(), isolatedResults()]);
  const env = { LOVAGE_BROKER: broker.url, LOVAGE_RESULTS: results.url };
  await runLovage(['migrate', '-A', APP], { env });
  const workers = Array.from({ length: WORKERS }, () =>
    spawn(process.execPath, [LOVAGE, 'worker', '-A', APP, '--loglevel', 'error'], {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'ignore', 'ignore'],
    }),
  );
  const app = new Lovage({ name: 'caller', broker: broker.url, results: results.url });
  try {
    await consuming(app);
    const samples = workers.map((): Sample[] => []);
    const calls = await load(app, (minute) =>
      workers.forEach((worker, index) => samples[index]?.push({ minute, ...footprint(worker) })),
    );
    await eventually(async () => expectDrained(app), { timeoutMs: 60_000 });
    draw(samples);
    const rows = samples.map((own, index) => [
      `worker ${index + 1}`,
      ...(['rssMb', 'handles'] as const).flatMap((what) => [early(own, what), late(own, what)]),
    ]);
    const head = ['', 'RSS MB early', 'late', 'open files early', 'late'];
    console.log(`${calls} calls in ${MINUTES} minutes, drawn to ${values.svg}\n\n${table(head, rows)}`);
  } finally {
    await Promise.all(workers.map(stopped));
    await app.stop();
    await Promise.all([broker.drop(), results.drop()]);
  }
}

/** Calls of several kinds, at an even rate. */
async function load(app: Lovage, sample: (minute: number) => void): Promise<number> {
  const began = performance.now();
  const elapsed = (): number => performance.now() - began;
  let calls = 0;
  for (let sampled = -Infinity; elapsed() < MINUTES * 60_000;) {
    const due = Math.floor((elapsed() / 1_000) * RATE) - calls;
    const kind = calls % 4;
    const args = Array.from({ length: due }, (_, n) => [n]);
    if (due > 0) {
      if (kind === 0)
        await app
          .task<[n: number]>('fuzz.echo')
          .with({ countdown: '1s' })
          .delayMany(args as [number][]);
      else if (kind === 1) await app.task<[n: number]>('fuzz.again').delayMany(args as [number][]);
      else await app.task<[n: number]>('fuzz.echo').delayMany(args as [number][]);
    }
    calls += due;
    if (elapsed() - sampled > SAMPLE_MS) {
      sampled = elapsed();
      sample(sampled / 60_000);
    }
    await pause(TICK_MS);
  }
  return calls;
}

async function consuming(app: Lovage): Promise<void> {
  await eventually(
    async () => {
      const { inspect } = (await app.connectBroker()).capabilities;
      const [depth] = (await inspect?.depths(['lovage'])) ?? [];
      if ((depth?.consumers ?? 0) < WORKERS) throw new Error(`${depth?.consumers} of ${WORKERS} workers consume`);
    },
    { timeoutMs: 60_000 },
  );
}

async function expectDrained(app: Lovage): Promise<void> {
  const { inspect } = (await app.connectBroker()).capabilities;
  const [depth] = (await inspect?.depths(['lovage'])) ?? [];
  if (depth?.messages !== 0) throw new Error(`${depth?.messages} messages wait`);
}

function footprint({ pid }: ChildProcess): Omit<Sample, 'minute'> {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const rssMb = Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) / 1024;
  return { rssMb, handles: readdirSync(`/proc/${pid}/fd`).length };
}

function draw(samples: readonly (readonly Sample[])[]): void {
  const seriesOf = (what: 'rssMb' | 'handles'): readonly Series[] =>
    samples.map((own, index) => ({
      name: `worker ${index + 1}`,
      points: own.map((sample) => [sample.minute, sample[what]] as const),
    }));
  const panels = [
    { title: 'RSS, MB', series: seriesOf('rssMb') },
    { title: 'open files and sockets', series: seriesOf('handles') },
  ];
  const title = `${WORKERS} workers under ${RATE} calls a second`;
  writeFileSync(values.svg, svgOf({ title, unit: 'minutes', panels }));
}

function early(samples: readonly Sample[], what: 'rssMb' | 'handles'): string {
  const warm = samples.filter(({ minute }) => minute > Math.min(1, MINUTES * SHARE));
  return mean(warm.slice(0, Math.ceil(warm.length * SHARE)), what);
}

function late(samples: readonly Sample[], what: 'rssMb' | 'handles'): string {
  return mean(samples.slice(-Math.ceil(samples.length * SHARE)), what);
}

function mean(samples: readonly Sample[], what: 'rssMb' | 'handles'): string {
  return (samples.reduce((sum, sample) => sum + sample[what], 0) / samples.length).toFixed(1);
}

async function stopped(worker: ChildProcess): Promise<void> {
  if (worker.exitCode !== null)
    throw new Error(`expected a worker that lives, got one that ended with ${worker.exitCode}`);
  const ended = once(worker, 'exit');
  worker.kill('SIGTERM');
  await ended;
}
