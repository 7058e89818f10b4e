import {
  Lovage,
  MemoryResultBackend,
  MemoryTransport,
  encodeError,
  type LovageEvents,
  type Outcome,
} from '@lovage/core';
import { Gated } from '../test/gated-task.js';
import { messageOf } from '../test/rig.js';
import type { Execution } from './execution.js';
import { Intake } from './intake.js';
import { Pipeline } from './pipeline.js';
import { AsyncPool } from './pool/async-pool.js';
import { Clock } from './relay/clock.js';

const OUT_OF_TIME: Outcome = { kind: 'failure', error: encodeError(new Error('out of time')) };
const quiet = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

/** A pipeline of one slot that consumes a queue in memory. */
class Line {
  readonly results = new MemoryResultBackend({ expiresMs: 60_000 });
  readonly transport = new MemoryTransport(`memory://line-${Math.random()}`);
  readonly app = new Lovage({ broker: this.transport, results: this.results }).register(Gated);
  readonly warnings: LovageEvents['warning'][] = [];
  #pipeline: Pipeline | null = null;

  async open(): Promise<Pipeline> {
    const { settings, tasks } = await this.app.load();
    const { events, runtime } = this.app;
    events.on('warning', (warning) => this.warnings.push(warning));
    await this.transport.declare([{ name: 'lovage', type: 'quorum', declare: true, maxPriority: null }]);
    const pipeline = (this.#pipeline = new Pipeline({
      worker: 'line',
      pools: [new AsyncPool(1)],
      defaultPool: 'async',
      settings,
      tasks,
      transport: this.transport,
      results: this.results,
      followUps: null,
      sends: false,
      parking: null,
      clock: new Clock(runtime),
      revocations: null,
      resolver: this.app.resolver,
      events,
      runtime,
      logOf: () => quiet,
    }));
    await new Intake('lovage').open(this.transport, { source: 'lovage', prefetch: 10, receive: pipeline.receive });
    return pipeline;
  }

  async send(...ids: readonly string[]): Promise<void> {
    await this.transport.publish(ids.map((id) => messageOf('gated', { id })));
  }

  async stateOf(id: string): Promise<string | undefined> {
    await this.#pipeline?.settledAll();
    return (await this.results.find({ ids: [id] }))[0]?.state;
  }
}

describe('an end that is decided without the task', () => {
  let line: Line;
  let pipeline: Pipeline;

  beforeEach(async () => {
    Gated.runs = [];
    line = new Line();
    pipeline = await line.open();
  });
  afterEach(() => line.app.stop());

  const running = () => pipeline.in('running')[0] as Execution;

  it('is the record, gives the slot to the next task, and leaves the code behind', async () => {
    await line.send('slow', 'next');
    await Gated.running(1);
    expect(pipeline.decide(running(), OUT_OF_TIME)).toBe(true);
    await Gated.running(2);
    expect([pipeline.running, pipeline.strays]).toEqual([1, 1]);
    while (line.warnings.length === 0) await new Promise(setImmediate);
    expect(line.warnings).toMatchObject([{ message: expect.stringContaining('task gated[slow] has ended') as string }]);
    await expect(line.stateOf('slow')).resolves.toBe('FAILURE');
  });

  it('is not changed by what the code does later, which gives back no slot', async () => {
    await line.send('slow', 'next');
    await Gated.running(1);
    const slow = running();
    pipeline.decide(slow, OUT_OF_TIME);
    await Gated.running(2);
    Gated.run(0).gate.resolve('too late');
    while (pipeline.strays > 0) await new Promise(setImmediate);
    expect(pipeline.running).toBe(1);
    await expect(line.stateOf('slow')).resolves.toBe('FAILURE');
    Gated.run(1).gate.resolve('in time');
    await pipeline.idle();
    await expect(line.stateOf('next')).resolves.toBe('SUCCESS');
  });

  it('is refused where the task has ended by itself, or has not begun', async () => {
    await line.send('first', 'second');
    await Gated.running(1);
    const first = running();
    while (pipeline.in('waiting').length === 0) await new Promise(setImmediate);
    expect(pipeline.decide(pipeline.in('waiting')[0] as Execution, OUT_OF_TIME)).toBe(false);
    Gated.run(0).gate.resolve(1);
    await Gated.running(2);
    expect(pipeline.decide(first, OUT_OF_TIME)).toBe(false);
    await expect(line.stateOf('first')).resolves.toBe('SUCCESS');
  });
});

it('hands back what fails once it was told to end twice, for no fault of its own', async () => {
  Gated.runs = [];
  const line = new Line();
  const pipeline = await line.open();
  await line.send('a');
  await Gated.running(1);
  const execution = pipeline.in('running')[0] as Execution;
  Gated.run(0).signal();
  // By a revocation, and by the worker's stop.
  execution.interrupt(new Error('revoked'));
  pipeline.interrupt(new Error('stopped'));
  Gated.run(0).gate.reject(new Error('interrupted'));
  await pipeline.idle();
  expect(execution.phase).toBe('returned');
  await line.app.stop();
});
