import { LovageError, MemoryResultBackend, type EventName, type OutboxCall } from '@lovage/core';
import { deferred } from '../../test/deferred.js';
import { FragileOutbox } from '../../test/fragile-outbox.js';
import { FragileTransport } from '../../test/fragile-transport.js';
import { messageOf } from '../../test/rig.js';
import { ShiftedRuntime } from '../../test/shifted-runtime.js';
import { Clock } from './clock.js';
import { Dispatcher } from './dispatcher.js';
import { OutboxRelay } from './outbox-relay.js';

let brokers = 0;
let warnings: string[];
let runtime: ShiftedRuntime;
let outbox: FragileOutbox;
let transport: FragileTransport;
let clock: Clock;
let relay: OutboxRelay;
const relays: OutboxRelay[] = [];

function newRelay(): OutboxRelay {
  const events = {
    emit: (name: EventName, event: unknown) =>
      void (name === 'warning' && warnings.push((event as { message: string }).message)),
    has: () => true,
  };
  const queueSpec = (name: string) =>
    ({ name, type: 'quorum', maxPriority: null, declare: !name.startsWith('theirs') }) as const;
  const dispatcher = new Dispatcher({ outbox, transport, queueSpec, events });
  const made = new OutboxRelay({ outbox, dispatcher, clock, events, runtime });
  relays.push(made);
  return made;
}

function call(id: string, { inMs = 0, queue = 'lovage' }: { inMs?: number | null; queue?: string } = {}): OutboxCall {
  const message = messageOf('any', { id, queue });
  const due = inMs === null ? null : { inMs };
  return { rowId: `row-${id}`, taskId: id, task: 'any', message, due, record: null, unique: null };
}

const sent = () => transport.taken.map(({ headers }) => headers['id']);

/** Resolves once so many messages have been taken by the broker. */
const hasTaken = (count: number) => transport.until(() => transport.taken.length >= count);

beforeEach(() => {
  warnings = [];
  runtime = new ShiftedRuntime();
  const results = new MemoryResultBackend({ expiresMs: 1_000, runtime });
  outbox = new FragileOutbox(results.capabilities.outbox as NonNullable<typeof results.capabilities.outbox>);
  transport = new FragileTransport(`memory://relay-${(brokers += 1)}`);
  clock = new Clock(runtime);
  relay = newRelay();
});
afterEach(async () => {
  await Promise.all(relays.splice(0).map((each) => each.stop()));
});

describe('a relay', () => {
  it('sends what is due, marked as republished, and removes it', async () => {
    await outbox.enqueue([call('due'), call('later', { inMs: 3_600_000 })]);
    await relay.start();
    await hasTaken(1);
    await relay.stop();
    expect(transport.taken).toMatchObject([{ queue: 'lovage', headers: { id: 'due', republished: true } }]);
    expect(outbox.removed).toEqual(['row-due']);
  });

  it('leaves a row to its writer until the lease is over', async () => {
    await outbox.enqueue([call('own', { inMs: null })]);
    await relay.start();
    expect(sent()).toEqual([]);
    runtime.advance(15_000);
    await hasTaken(1);
    expect(sent()).toEqual(['own']);
  });

  it('is woken by the outbox, and by its own worker', async () => {
    await relay.start();
    await outbox.enqueue([call('news')]);
    const begun = performance.now();
    await hasTaken(1);
    await outbox.enqueue([call('soon', { inMs: 2_000 })]);
    runtime.advance(1_990);
    relay.wakeIn(10);
    await hasTaken(2);
    expect(performance.now() - begun).toBeLessThan(900);
  });

  it('asks once a second at most when there is nothing to do', async () => {
    await relay.start();
    const { promise, resolve } = deferred();
    outbox.claimed = () => {
      if (outbox.claims.length === 3) resolve();
    };
    const begun = performance.now();
    await promise;
    expect(outbox.claims).toHaveLength(3);
    expect(performance.now() - begun).toBeGreaterThan(1_950);
  });

  it('leaves 20 ms between empty claims, however often it is woken', async () => {
    await relay.start();
    const begun = performance.now();
    const { promise, resolve } = deferred();
    outbox.claimed = () => {
      if (outbox.claims.length === 6) resolve();
      else relay.wakeIn(0);
    };
    relay.wakeIn(0);
    await promise;
    expect(performance.now() - begun).toBeGreaterThan(4 * 19);
  });

  it('claims the next batch while two are being published, and not a fourth', async () => {
    await outbox.enqueue(Array.from({ length: 2_200 }, (_, index) => call(`${index}`)));
    const gate = deferred();
    const three = deferred();
    let publishing = 0;
    transport.before = () => {
      publishing += 1;
      return gate.promise;
    };
    outbox.claimed = () => (outbox.claims.length >= 3 ? three.resolve() : undefined);
    await relay.start();
    await three.promise;
    await new Promise((resolve) => setImmediate(resolve));
    expect(outbox.claims.map(({ messages }) => messages.length)).toEqual([500, 500, 500]);
    expect(publishing).toBe(3);
    gate.resolve();
    await hasTaken(2_200);
    expect(new Set(sent()).size).toBe(2_200);
  });

  it('shares the work with other relays: each row is sent once', async () => {
    await outbox.enqueue(Array.from({ length: 2_000 }, (_, index) => call(`${index}`)));
    await Promise.all([relay.start(), newRelay().start()]);
    await hasTaken(2_000);
    await Promise.all(relays.map((each) => each.stop()));
    expect(sent()).toHaveLength(2_000);
    expect(new Set(sent()).size).toBe(2_000);
  });

  it('sends what another relay has claimed and not sent', async () => {
    await outbox.enqueue([call('left')]);
    const claimed = deferred();
    const gate = deferred();
    outbox.claimed = () => {
      outbox.claimed = () => undefined;
      claimed.resolve();
      return gate.promise;
    };
    void relay.start();
    await claimed.promise;
    // It is gone now, as if it had been killed.
    const other = newRelay();
    await other.start();
    expect(sent()).toEqual([]);
    runtime.advance(15_000);
    await hasTaken(1);
    expect(sent()).toEqual(['left']);
    gate.resolve();
  });

  it('sends again what was sent and not removed', async () => {
    await outbox.enqueue([call('twice')]);
    outbox.before = (step) => {
      if (step === 'remove') throw new LovageError('LOVAGE_RESULTS_UNAVAILABLE', 'away');
    };
    await relay.start();
    await hasTaken(1);
    await relay.stop();
    outbox.before = () => undefined;
    runtime.advance(15_000);
    await newRelay().start();
    await hasTaken(2);
    expect(sent()).toEqual(['twice', 'twice']);
  });

  it('removes later what it could not remove, without sending it again', async () => {
    await outbox.enqueue([call('once')]);
    let isAway = true;
    outbox.before = (step) => {
      if (step === 'remove' && isAway) throw new LovageError('LOVAGE_RESULTS_UNAVAILABLE', 'away');
    };
    await relay.start();
    await hasTaken(1);
    isAway = false;
    runtime.advance(15_000);
    await outbox.enqueue([call('next')]);
    await hasTaken(2);
    expect(sent()).toEqual(['once', 'next']);
    expect(outbox.removed).toContain('row-once');
    expect(warnings).toEqual([]);
  });

  it('holds what it has while the broker is away, claims no more, and drains the outbox afterwards', async () => {
    transport.away = true;
    await outbox.enqueue(Array.from({ length: 1_700 }, (_, index) => call(`${index}`)));
    await relay.start();
    await transport.until(() => transport.attempts >= 4);
    const claimed = outbox.claims.reduce((sum, { messages }) => sum + messages.length, 0);
    expect(claimed).toBeLessThanOrEqual(1_500);
    transport.away = false;
    await hasTaken(1_700);
    expect(new Set(sent()).size).toBe(1_700);
    expect(sent()).toHaveLength(1_700);
    expect(warnings).toEqual([]);
  });

  it('claims one row at a time once the broker has been away for long', async () => {
    transport.away = true;
    await outbox.enqueue(Array.from({ length: 1_600 }, (_, index) => call(`${index}`)));
    await relay.start();
    await transport.until(() => transport.attempts >= 2);
    runtime.advance(8_000);
    const { promise, resolve } = deferred();
    outbox.claimed = ({ messages }) => (messages.length === 1 ? resolve() : undefined);
    await promise;
    expect(outbox.limits.at(-1)).toBe(1);
  });

  it.each([
    ['mismatched', 'odd', /odd.* is another/],
    ['refused', 'full', /full.* refused it/],
    ['missing', 'theirs', /theirs.* no queue/],
  ] as const)('sends the others when one queue is %s, and warns once', async (how, queue, warning) => {
    if (how !== 'missing') transport[how].add(queue);
    await outbox.enqueue([call('bad', { queue }), call('good'), call('worse', { queue })]);
    await relay.start();
    await hasTaken(1);
    runtime.advance(15_000);
    await outbox.enqueue([call('better')]);
    await hasTaken(2);
    expect(sent()).toEqual(['good', 'better']);
    expect(warnings).toEqual([expect.stringMatching(warning)]);
  });

  it('is quiet while the database is away, and goes on when it is back', async () => {
    outbox.before = () => {
      throw new LovageError('LOVAGE_RESULTS_UNAVAILABLE', 'away');
    };
    await relay.start();
    outbox.before = () => undefined;
    await outbox.enqueue([call('kept')]);
    await hasTaken(1);
    expect(sent()).toEqual(['kept']);
    expect(warnings).toEqual([]);
  });

  it('warns once of what is no outage', async () => {
    let failures = 0;
    const twice = deferred();
    outbox.before = () => {
      failures += 1;
      if (failures === 2) twice.resolve();
      throw new TypeError('a defect');
    };
    await relay.start();
    await twice.promise;
    expect(warnings).toEqual([expect.stringContaining('a defect')]);
  });

  describe('when it is stopped', () => {
    it('stops watching and claims no more', async () => {
      await relay.start();
      expect(outbox.watching).toBe(1);
      await relay.stop();
      await relay.stop();
      expect(outbox.watching).toBe(0);
      const before = outbox.claims.length;
      relay.wakeIn(0);
      await outbox.enqueue([call('late')]);
      await new Promise((resolve) => setImmediate(resolve));
      expect(outbox.claims).toHaveLength(before);
    });

    it('finishes a batch that it is publishing', async () => {
      await outbox.enqueue([call('under way')]);
      const begun = deferred();
      const gate = deferred();
      transport.before = () => {
        begun.resolve();
        return gate.promise;
      };
      await relay.start();
      await begun.promise;
      const stopping = relay.stop();
      gate.resolve();
      await stopping;
      expect(outbox.removed).toEqual(['row-under way']);
    });

    it.each(['claim', 'publish'] as const)('does not wait for a %s that does not end', async (step) => {
      await outbox.enqueue([call('stuck')]);
      const begun = deferred();
      const gate = deferred();
      const hang = () => {
        begun.resolve();
        return gate.promise;
      };
      if (step === 'claim') outbox.before = hang;
      else transport.before = hang;
      void relay.start();
      await begun.promise;
      const at = performance.now();
      await relay.stop();
      expect(performance.now() - at).toBeLessThan(2_000);
      gate.resolve();
    });

    it('does not wait out a back-off', async () => {
      transport.away = true;
      await outbox.enqueue([call('waits')]);
      await relay.start();
      await transport.until(() => transport.attempts >= 3);
      const at = performance.now();
      await relay.stop();
      expect(performance.now() - at).toBeLessThan(100);
    });
  });

  it('tells the clock the time of the database', async () => {
    const { claim } = outbox;
    outbox.claim = async (limit) => ({ ...(await claim.call(outbox, limit)), now: runtime.now() + 3_600_000 });
    await newRelay().start();
    expect(Math.abs(clock.now() - runtime.now() - 3_600_000)).toBeLessThan(50);
  });
});
