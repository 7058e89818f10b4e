import { type LovageOptions, Lovage, MemoryTransport, Task, isLovageError } from '../index.js';
import type { LovageError } from '../errors/lovage-error.js';
import type { Message } from '../message/message.js';

@Task({ name: 'rounds.note' })
class Note {
  run(_text: string): void {}
}

/** The queues in memory, and the queue of each message that was published, publish by publish. */
class RecordedTransport extends MemoryTransport {
  readonly publishes: (readonly string[])[] = [];

  override publish(messages: readonly Message[]): Promise<readonly (LovageError | null)[]> {
    this.publishes.push(messages.map(({ queue }) => queue));
    return super.publish(messages);
  }
}

describe('calls made in one turn of the event loop', () => {
  let transport: RecordedTransport;
  let app: Lovage;

  function start(options: Partial<LovageOptions> = {}): void {
    transport = new RecordedTransport(`memory://rounds-${Math.random()}`);
    app = new Lovage({ broker: { transport }, ...options });
  }
  afterEach(() => app.stop());

  it('are one publish for each queue, and each has its own id', async () => {
    start();
    const note = app.task(Note);
    const fast = note.with({ queue: 'fast' });
    const results = await Promise.all([note.delay('a'), fast.delay('b'), note.delay('c'), fast.delay('d')]);
    expect(transport.publishes).toEqual([
      ['lovage', 'lovage'],
      ['fast', 'fast'],
    ]);
    expect(new Set(results.map(({ id }) => id)).size).toBe(4);
    await note.delay('later');
    expect(transport.publishes[2]).toEqual(['lovage']);
  });

  it('are several publishes where they are many', async () => {
    start();
    const note = app.task(Note);
    await Promise.all(Array.from({ length: 70 }, () => note.delay('a')));
    expect(transport.publishes.map(({ length }) => length)).toEqual([32, 32, 6]);
  });

  it('carry the arguments as they were when they were called', async () => {
    start();
    const words = ['before'];
    const sent = app.task<[string[]]>('rounds.list').delay(words);
    words[0] = 'after';
    await sent;
    const bodies: string[] = [];
    await transport.capabilities.inspect?.visit('lovage', {}, async ({ body }) => {
      bodies.push(Buffer.from(body).toString());
      return 'remove';
    });
    expect(bodies).toEqual([expect.stringMatching(/^\[\[\["before"\]\]/)]);
  });

  it('fail each with its own id where their queue cannot be declared, and those of other queues do not', async () => {
    start({ queues: { theirs: { declare: false } } });
    const note = app.task(Note);
    const theirs = note.with({ queue: 'theirs' });
    const [first, second, own] = await Promise.allSettled([
      theirs.with({ id: 'a' }).delay('x'),
      theirs.with({ id: 'b' }).delay('x'),
      note.delay('x'),
    ]);
    for (const [outcome, id] of [
      [first, 'a'],
      [second, 'b'],
    ] as const) {
      const reason: unknown = outcome.status === 'rejected' ? outcome.reason : null;
      expect(isLovageError(reason, 'LOVAGE_UNROUTABLE') && reason.details).toEqual({ id });
    }
    expect(own.status).toBe('fulfilled');
  });
});

it('calls of an app in inline mode run side by side', async () => {
  const order: string[] = [];
  let release: () => void = () => {};
  const released = new Promise<void>((resolve) => (release = resolve));

  @Task({ name: 'rounds.waits' })
  class Waits {
    async run(): Promise<void> {
      await released;
      order.push('waited');
    }
  }
  @Task({ name: 'rounds.releases' })
  class Releases {
    run(): void {
      order.push('released');
      release();
    }
  }
  const app = new Lovage({ broker: 'memory://unused' }).testing({ mode: 'inline' });
  await Promise.all([app.task(Waits).delay(), app.task(Releases).delay()]);
  expect(order).toEqual(['released', 'waited']);
  await app.stop();
});
