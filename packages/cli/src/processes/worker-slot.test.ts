import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { createLogger } from '@lovage/worker';
import type { FromWorker } from './protocol.js';
import { startWorkerProcess } from './worker-process.js';
import { WorkerSlot } from './worker-slot.js';

describe('a process that is killed', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'lovage-slot-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  it('is reported with the tasks that it ran when it was last heard of', async () => {
    const entry = join(folder, 'entry.js');
    writeFileSync(
      entry,
      `const told = (message) => new Promise((done) => process.send(message, done));
      told({ kind: 'ready' })
        .then(() => told({ kind: 'beat', consuming: true, tasks: 'math.fib[a1]' }))
        .then(() => process.kill(process.pid, 'SIGKILL'));`,
    );
    let log = '';
    const stream = new Writable({
      write: (chunk: Buffer, _encoding, done) => {
        log += chunk.toString();
        if (log.includes('; starting')) slot.stop('the test is over', { now: true });
        done();
      },
    });
    const slot: WorkerSlot = new WorkerSlot({
      number: 1,
      logger: createLogger({ level: 'info', format: 'text', color: false, stream }),
      startProcess: ({ onMessage, ...listener }) =>
        startWorkerProcess({
          entry,
          args: [],
          cwd: folder,
          env: process.env,
          onMessage: (message) => onMessage(message as FromWorker),
          ...listener,
        }),
    });
    await slot.keep();
    expect(log).toMatch(
      /Process \d+ was ended by SIGKILL, and ran math\.fib\[a1\] when last heard of; starting another in 1 s/,
    );
  });
});
