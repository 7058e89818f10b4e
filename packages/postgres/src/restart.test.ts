import { type Completion, type ResultBackend, isLovageError } from '@lovage/core';
import { RecordedEvents, TestSchema, completion, recordWrite } from '../test/support.js';

interface Server {
  readonly url: string;
  kill(): Promise<void>;
  start(): Promise<void>;
  stop(): Promise<void>;
}

describe('a server that crashes in mid-traffic', () => {
  let server: Server;
  let schema: TestSchema;

  beforeAll(async () => {
    const { startPostgres } = await import('../../../scripts/services/postgres.js');
    server = await startPostgres();
    schema = new TestSchema({ url: server.url });
    await schema.migrate();
  }, 60_000);
  afterAll(async () => {
    await schema.dispose();
    await server.stop();
  });

  it('loses no commit that was answered, takes the rest when it is back, and wakes its waiters', async () => {
    const events = new RecordedEvents();
    const backend = await schema.started({}, events.context);
    const caller = await schema.started();
    const batches = Array.from({ length: 60 }, () => Array.from({ length: 50 }, () => recordWrite()));
    const waits = Promise.all(batches.flat().map(({ id }) => caller.waitFor(id, AbortSignal.timeout(50_000))));

    let refusals = 0;
    let down: Promise<void> | undefined;
    const lane = async (mine: readonly (typeof batches)[number][]): Promise<void> => {
      for (const [index, batch] of mine.entries()) {
        const completions = batch.map((record) => completion(record, { replyTo: caller.replyChannel }));
        if (index === 10) down ??= server.kill().then(() => server.start());
        refusals += await committed(backend, completions);
      }
    };
    await Promise.all([lane(batches.slice(0, 30)), lane(batches.slice(30))]);
    await down;

    expect(refusals).toBeGreaterThan(0);
    expect(await waits).toHaveLength(3_000);
    expect(await schema.sql('SELECT count(*)::int AS count FROM task_results')).toEqual([{ count: 3_000 }]);
    expect(events.of('connection:lost').length).toBeGreaterThan(0);
    expect(events.of('connection:open').length).toBe(events.of('connection:lost').length + 1);
  }, 60_000);

  /** Commits as a worker does, until it is answered; resolves with how often it was refused. */
  async function committed(backend: ResultBackend, completions: readonly Completion[]): Promise<number> {
    for (let refusals = 0; ; refusals += 1) {
      try {
        await backend.commit(completions);
        return refusals;
      } catch (error) {
        if (!isLovageError(error, 'LOVAGE_RESULTS_UNAVAILABLE')) throw error;
      }
    }
  }
});
