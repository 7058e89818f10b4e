// What every subject in Node shares: the tasks, the arguments of the n-th call, and how calls are made and counted.
//   BENCH_LOAD='{"queue":"q","tasks":20000,"kind":"add"}' node PROGRAMME MODE
import { writeSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { burn } from './burn.mjs';

/** Calls that are not confirmed yet, at most; fewer of large ones. */
const WINDOW = 1000;
/** Calls in one bulk. */
const BULK = 1000;
const BYTES_IN_FLIGHT = 64 * 2 ** 20;

/** `lovage worker` loads this too, and has a command line of its own. */
export const mode = process.argv[2];
export const load = { kind: 'add', size: 0, ...JSON.parse(process.env.BENCH_LOAD ?? '{}') };

/** A DTO that class-transformer revives. */
export class Order {
  total() {
    return totalOf(this);
  }
}

const LINES = [1, 2, 3, 4].map((line) => ({ sku: `sku-${line}`, price: line, quantity: 2 }));

/** What a task does, and the arguments of its n-th call; `size` is in bytes, milliseconds or turns of a loop. */
export const KINDS = {
  add: { run: async (x, y) => x + y, args: (n) => [n, 1] },
  text: { run: async (text) => text.length, args: () => [text] },
  sleep: { run: (ms) => (ms === 0 ? 0 : pause(ms, ms)), args: () => [load.size] },
  burn: { run: async (turns) => burn(turns), args: () => [load.size] },
  object: { run: async (order) => totalOf(order), args: (n) => [{ id: n, lines: LINES }] },
  order: { run: async (order) => order.total(), args: (n) => [{ id: n, lines: LINES }] },
};

const text = load.kind === 'text' ? 'x'.repeat(load.size) : '';

function totalOf({ lines }) {
  return lines.reduce((sum, { price, quantity }) => sum + price * quantity, 0);
}

/** How many of what the load sends may be in flight. */
export function window(most = WINDOW) {
  const bytes = load.kind === 'text' ? load.size : 0;
  return Math.max(8, Math.min(most, Math.floor(BYTES_IN_FLIGHT / Math.max(1, bytes))));
}

/** Makes all calls as `load.how` says; prints what that came to, a second, and what a call cost this process, in µs. `bulk` takes the arguments of many calls. */
export async function enqueueAll({ one, bulk }) {
  const { args } = KINDS[load.kind];
  const started = performance.now();
  const before = process.cpuUsage();
  if (load.how === 'single') for (let n = 0; n < load.tasks; n++) await one(args(n));
  else if (load.how === 'bulk') await inBulk(bulk, args);
  else await pipelined(one, args);
  const { user, system } = process.cpuUsage(before);
  print({ perSecond: load.tasks / ((performance.now() - started) / 1000), cpu: (user + system) / load.tasks });
}

/** Makes `load.perSecond` calls a second until SIGTERM. */
export async function enqueuePaced(one) {
  const { args } = KINDS[load.kind];
  let stopping = false;
  process.once('SIGTERM', () => (stopping = true));
  const started = performance.now();
  const calls = new Set();
  for (let n = 0; !stopping;) {
    const due = ((performance.now() - started) / 1000) * load.perSecond;
    for (; n < due && calls.size < WINDOW; n++) {
      const call = one(args(n)).finally(() => calls.delete(call));
      calls.add(call);
    }
    await pause(2);
  }
  await Promise.all(calls);
}

/** Prints the milliseconds of each call, one at a time. */
export async function timeCalls(call) {
  // Connections, prepared statements, compiled code: and the worker may still be starting.
  const WARM_UP = Math.min(200, load.tasks);
  const { args } = KINDS[load.kind];
  const milliseconds = [];
  for (let n = 0; n < WARM_UP + load.tasks; n++) {
    const started = performance.now();
    await call(args(n));
    if (n >= WARM_UP) milliseconds.push(performance.now() - started);
  }
  print({ milliseconds });
}

let unsaid = 0;

/** One byte of 1 on standard output for each task that is done: whoever starts the worker counts and times them. */
export function done(tasks = 1) {
  if (unsaid === 0) setImmediate(say);
  unsaid += tasks;
}

function say() {
  writeSync(1, '\x01'.repeat(unsaid));
  unsaid = 0;
}

function print(value) {
  writeSync(1, `${JSON.stringify(value)}\n`);
}

async function inBulk(bulk, args) {
  const size = window(BULK);
  for (let n = 0; n < load.tasks; n += size)
    await bulk(Array.from({ length: Math.min(size, load.tasks - n) }, (_, index) => args(n + index)));
}

async function pipelined(one, args) {
  const most = window();
  let inFlight = 0;
  let resume = null;
  let failure = null;
  const settled = () => {
    inFlight--;
    resume?.();
    resume = null;
  };
  const failed = (error) => {
    failure = error;
    settled();
  };
  for (let n = 0; n < load.tasks; n++) {
    while (inFlight >= most) await new Promise((resolve) => (resume = resolve));
    if (failure !== null) throw failure;
    inFlight++;
    one(args(n)).then(settled, failed);
  }
  while (inFlight > 0) await new Promise((resolve) => (resume = resolve));
  if (failure !== null) throw failure;
}
