import { inspect } from 'node:util';
import { type MessagePort, parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import {
  encodeError,
  executeTask,
  type LoadedApp,
  type Lovage,
  type TaskDefinition,
  type TaskLogger,
} from '@lovage/core';
import { guardProcess } from '../guard-process.js';
import { openApp } from './open-app.js';
import { ThreadHost } from './thread-host.js';
import type { FromThread, ThreadLine, ThreadRun, ThreadSetup, ToThread } from './thread-protocol.js';

/** What a thread runs: it loads the app, then runs one task after another until it is told to stop. Started by Thread. */

const port = parentPort as MessagePort;
const tell = (message: FromThread): void => port.postMessage(message);
let app: Lovage | null = null;
let loaded: LoadedApp | null = null;
let current: ThreadHost | null = null;

guardProcess(loggerOf(null));
port.on('message', receive);
void open(workerData as ThreadSetup);

async function open(setup: ThreadSetup): Promise<void> {
  try {
    app = await openApp(setup);
    loaded = await app.load();
    tell({ kind: 'loaded', tasks: loaded.tasks.list().map(({ name }) => name) });
  } catch (error) {
    tell({ kind: 'failed', error: encodeError(error) });
  }
}

function receive(message: ToThread): void {
  if (message.kind === 'run') void run(message.run);
  else if (message.kind === 'abort') current?.abort(message.abort);
  else void stop();
}

async function run(task: ThreadRun): Promise<void> {
  const { request } = task;
  const host = new ThreadHost({ app: app as Lovage, run: task, log: loggerOf(request), tell, poll });
  current = host;
  // The pool has seen that this thread knows the tasks that are to run in it.
  const outcome = await executeTask(request, loaded?.tasks.get(request.task) as TaskDefinition, host);
  current = null;
  tell({ kind: 'ended', outcome });
}

function poll(): void {
  for (let next = receiveMessageOnPort(port); next !== undefined; next = receiveMessageOnPort(port)) {
    receive((next as { readonly message: ToThread }).message);
  }
}

async function stop(): Promise<void> {
  await app?.stop().catch(() => undefined);
  process.exit();
}

function loggerOf(task: ThreadLine['task']): TaskLogger {
  const write =
    (level: ThreadLine['level']) =>
    (message: string, meta?: object): void =>
      writeLine({ level, message, meta, task: task === null ? null : { id: task.id, task: task.task } });
  return { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') };
}

function writeLine(line: ThreadLine): void {
  try {
    tell({ kind: 'line', line });
  } catch {
    // What is logged beside a message may hold what cannot leave the thread.
    const { message, meta } = line;
    tell({ kind: 'line', line: { ...line, message: String(message), meta: { meta: inspect(meta) } } });
  }
}
