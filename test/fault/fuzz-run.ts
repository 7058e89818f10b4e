import { setTimeout as pause } from 'node:timers/promises';
import path from 'node:path';
import { type ConfirmChannel, connect } from 'amqplib';
import { Lovage } from 'lovage';
import { Client } from 'pg';
import { eventually } from '../support/eventually.js';
import { isolatedBroker } from '../support/isolated-broker.js';
import { isolatedResults } from '../support/isolated-results.js';
import { runLovage, startWorker } from '../support/lovage-process.js';
import { MARK, type Mutant, mutant } from './fuzz/mutation.js';
import { Random } from './random.js';

export interface FuzzOptions {
  readonly seed: number;
  readonly messages: number;
}

/** Where mutated messages have come to. */
export interface FuzzRun {
  readonly messages: number;
  readonly dead: number;
  /** By their record or, as they are to be run later, by their row in the outbox. */
  readonly recorded: number;
  /** Those that asked for no record. */
  readonly acknowledged: number;
  readonly rssMb: number;
  readonly ms: number;
  readonly violations: readonly string[];
}

const APP = path.join(__dirname, 'fuzz', 'app.ts');
const QUEUE = 'lovage';
const CHUNK = 500;
/** More do not wait for the worker. */
const MOST_WAITING = 5_000;
/** A worker that gets nowhere for so long hangs. */
const HANGS_MS = 60_000;
/** More than a worker takes that has seen a hundred thousand of these. */
const MOST_RSS_MB = 400;

/** Sends mutated messages to a `lovage worker`, and looks where each of them has come to. */
export async function fuzzRun({ seed, messages }: FuzzOptions): Promise<FuzzRun> {
  const started = performance.now();
  const violations: string[] = [];
  const [broker, results] = await Promise.all([isolatedBroker(), isolatedResults()]);
  const env = { LOVAGE_BROKER: broker.url, LOVAGE_RESULTS: results.url, LOVAGE_WORKER_UNKNOWN_TASK_GRACE: '0s' };
  await runLovage(['migrate', '-A', APP], { env });
  const worker = await startWorker(['-A', APP], { env });
  const app = new Lovage({ name: 'caller', broker: broker.url, results: results.url });
  const connection = await connect(broker.url);
  const channel = await connection.createConfirmChannel();
  const db = new Client({ connectionString: results.url });
  try {
    await db.connect();
    const dead = new Set<number>();
    const letters = await connection.createChannel();
    await letters.consume(
      `${QUEUE}.dead`,
      (letter) => letter !== null && dead.add(Number(letter.properties.headers?.[MARK])),
      { noAck: true },
    );
    const sent = await sendAll(channel, new Random(seed), messages);
    await eventually(async () => expectEmpty(channel), { timeoutMs: HANGS_MS + messages * 10 });
    await eventually(
      async () => {
        const lost = openOf(sent, dead, await known());
        if (lost.length > 0) throw new Error(`${lost.length} messages have come to no end`);
      },
      { timeoutMs: HANGS_MS },
    ).catch((error: unknown) => violations.push(String(error)));
    const recorded = await known();
    for (const { n, body, options } of openOf(sent, dead, recorded).slice(0, 20))
      violations.push(`message ${n} has come to no end: ${JSON.stringify({ ...options, body: body.toString() })}`);
    const vitals = await (await app.task<[], Vitals>('fuzz.vitals').delay()).get({ timeout: '30s' });
    if (vitals.pid !== worker.pid) violations.push(`the worker is ${vitals.pid}, no longer ${worker.pid}`);
    if (vitals.polluted !== null) violations.push(`prototypes are polluted: ${JSON.stringify(vitals.polluted)}`);
    if (vitals.rssMb > MOST_RSS_MB) violations.push(`the worker takes ${vitals.rssMb.toFixed(0)} MB`);
    const code = await worker.stop();
    if (code !== 0) violations.push(`the worker ended with ${code}`);
    for (const { event, message } of worker.log)
      if (event === undefined) violations.push(`the worker said: ${message}`);
    // What it had not acknowledged would be there again.
    await expectEmpty(channel).catch((error: unknown) => violations.push(String(error)));
    const count = (fits: (one: Sent) => boolean): number => sent.filter(fits).length;
    return {
      messages,
      dead: count(({ n }) => dead.has(n)),
      recorded: count(({ n, id }) => !dead.has(n) && id !== null && recorded.has(id)),
      acknowledged: count(({ n, id }) => !dead.has(n) && !(id !== null && recorded.has(id))),
      rssMb: vitals.rssMb,
      ms: performance.now() - started,
      violations,
    };
  } finally {
    await worker.kill();
    await app.stop();
    await db.end();
    await connection.close();
    await Promise.all([broker.drop(), results.drop()]);
  }

  async function known(): Promise<ReadonlySet<string>> {
    const { rows } = await db.query<{ id: string }>(
      'SELECT id FROM lovage.task_results UNION SELECT task_id FROM lovage.outbox',
    );
    return new Set(rows.map(({ id }) => id));
  }
}

interface Vitals {
  readonly pid: number;
  readonly polluted: unknown;
  readonly rssMb: number;
}

interface Sent extends Mutant {
  readonly n: number;
}

async function sendAll(channel: ConfirmChannel, random: Random, messages: number): Promise<readonly Sent[]> {
  const sent: Sent[] = [];
  while (sent.length < messages) {
    for (let left = Math.min(CHUNK, messages - sent.length); left > 0; left--) {
      const n = sent.length;
      const made = mutant(random, n);
      channel.sendToQueue(QUEUE, made.body, made.options);
      sent.push({ ...made, n });
    }
    await channel.waitForConfirms();
    while ((await channel.checkQueue(QUEUE)).messageCount > MOST_WAITING) await pause(50);
  }
  return sent;
}

/** Those that are nowhere, and should be somewhere. */
function openOf(sent: readonly Sent[], dead: ReadonlySet<number>, known: ReadonlySet<string>): readonly Sent[] {
  return sent.filter(({ n, id, isIgnored }) => !dead.has(n) && !(id !== null && known.has(id)) && !isIgnored);
}

async function expectEmpty(channel: ConfirmChannel): Promise<void> {
  for (const queue of [QUEUE, `${QUEUE}.lost`]) {
    const { messageCount } = await channel.checkQueue(queue);
    if (messageCount > 0) throw new Error(`${messageCount} messages in ${queue}`);
  }
}
