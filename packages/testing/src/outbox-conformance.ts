import { types } from 'node:util';
import {
  type CommitResult,
  type Completion,
  type HeaderValue,
  type Message,
  OUTBOX_LEASE_MS,
  type Outbox,
  type OutboxCall,
  type OutboxMessage,
  type RecordWrite,
  type ResultBackend,
  UNIQUE_SCOPES,
  type UniqueClaim,
  uniqueKey,
} from '@lovage/core';
import { eventually } from './eventually.js';
import { HOUR_MS, NOW, callOf, claimOf, messageOf, outboxOf, pending, retryOf, rowOf } from './outbox-rows.js';
import {
  NUL,
  clockMoves,
  codeOf,
  commit,
  completion,
  expectNear,
  newId,
  only,
  recordWrite,
  waitFor,
} from './records.js';

/** What the tests of the outbox run on: backends that are started, on one empty store. */
export interface OutboxStores {
  readonly backend: ResultBackend;
  /** Another process. */
  readonly peer: ResultBackend;
  readonly expireLeases: () => Promise<void>;
}

type Test = () => Promise<void>;

const FAR_FUTURE = Date.UTC(2090, 0, 1);

/** Declares the tests of the capability `outbox`: each promise of its docstrings, and of what a Completion causes. */
export function describeOutbox(stores: () => OutboxStores, promise: (title: string, test: Test) => void): void {
  let backend: ResultBackend;
  let outbox: Outbox;
  let peer: ResultBackend;
  let peerOutbox: Outbox;

  const expireLeases = (): Promise<void> => stores().expireLeases();

  /** The rows that are due, each claimed by whichever process comes first, and removed. */
  const drain = async (): Promise<readonly OutboxMessage[]> => {
    const taken: OutboxMessage[] = [];
    for (;;) {
      const claims = await Promise.all([outbox.claim(70), peerOutbox.claim(70)]);
      const messages = claims.flatMap((claim) => claim.messages);
      if (messages.length === 0) return taken;
      await outbox.remove(messages.map(({ rowId }) => rowId));
      taken.push(...messages);
    }
  };

  beforeEach(() => {
    ({ backend, peer } = stores());
    [outbox, peerOutbox] = [outboxOf(backend), outboxOf(peer)];
  });

  describe('what a commit causes', () => {
    promise('is written with the record, each follow-up once', async () => {
      const chain = [rowOf(), rowOf(), rowOf()];
      expect(await backend.commit([completion(recordWrite(), { followUps: chain })])).toEqual(['applied']);
      expect(sorted(await drain())).toEqual(sorted(chain));
      await expireLeases();
      expect(await drain()).toEqual([]);
    });

    promise('is written for those of many that apply, with and without follow-ups', async () => {
      const final = recordWrite();
      const later = recordWrite({ state: 'STARTED', attempt: 2 });
      await commit(backend, final, later);
      const causing = Array.from({ length: 701 }, () => completion(recordWrite(), { followUps: [rowOf()] }));
      const completions = [
        ...causing.slice(0, 400),
        completion({ ...final, state: 'FAILURE', attempt: 3 }, { followUps: [rowOf()] }),
        ...Array.from({ length: 50 }, () => completion(recordWrite())),
        completion({ ...later, state: 'SUCCESS', attempt: 1 }, { followUps: [rowOf()] }),
        ...causing.slice(400),
      ];
      const results = await backend.commit(completions);
      expect(results.map((result, index) => (result === 'applied' ? null : index)).filter(Number)).toEqual([400, 451]);
      expect(results[400]).toBe('superseded');
      expect(results[451]).toBe('superseded');
      expect(sorted(await drain())).toEqual(sorted(causing.flatMap(({ followUps }) => followUps)));
    });

    promise('is nothing for a copy whose record is final, of a later attempt, or announced already', async () => {
      for (const stored of [{ state: 'SUCCESS' }, { state: 'STARTED', attempt: 1 }, { state: 'RETRY', attempt: 1 }]) {
        const record = recordWrite(stored);
        await commit(backend, record);
        expect([stored, await peer.commit([retryOf(record.id)])]).toEqual([stored, ['superseded']]);
      }
      expect(await drain()).toEqual([]);
    });

    promise('is nothing where the record or a message cannot be stored, and all of it for the neighbours', async () => {
      const bad: Readonly<Record<number, Completion>> = {
        7: completion(recordWrite({ resultJson: NUL }), { followUps: [rowOf()] }),
        50: completionOfHeaders({ note: 'a\0b' }),
        51: completionOfHeaders({ deep: { list: ['\ud800'] } }),
      };
      const completions = Array.from(
        { length: 64 },
        (_, index) => bad[index] ?? completion(recordWrite(), { followUps: [rowOf()] }),
      );
      const results = await backend.commit(completions);
      expect(results.map(codeOf)).toEqual(
        completions.map((_, index) => (bad[index] === undefined ? 'applied' : 'LOVAGE_RESULT_NOT_STORABLE')),
      );
      const good = completions.filter((_, index) => bad[index] === undefined);
      expect(sorted(await drain())).toEqual(sorted(good.flatMap(({ followUps }) => followUps)));
      expect(await backend.find({ ids: completions.map(({ record }) => record.id) })).toHaveLength(good.length);
    });

    promise('is that of the first that applies, of several of one id in a call', async () => {
      const [twice, steps] = [newId(), newId()];
      const [first, second] = [retryOf(twice), retryOf(twice)];
      const [started, ended] = [
        completion(recordWrite({ id: steps, state: 'STARTED' }), { followUps: [rowOf()] }),
        completion(recordWrite({ id: steps }), { followUps: [rowOf()] }),
      ];
      expect(await backend.commit([first, started, second, ended])).toEqual([
        'applied',
        'applied',
        'superseded',
        'applied',
      ]);
      expect(sorted(await drain())).toEqual(sorted([first, started, ended].flatMap(({ followUps }) => followUps)));
    });

    promise('is not caused again when a commit whose answer was lost is made again', async () => {
      const completions = [retryOf(newId()), completion(recordWrite(), { followUps: [rowOf()] })];
      expect(await backend.commit(completions)).toEqual(['applied', 'applied']);
      expect(await backend.commit(completions)).toEqual(['superseded', 'superseded']);
      expect(await drain()).toHaveLength(2);
      expect(await peer.commit(completions)).toEqual(['superseded', 'superseded']);
      expect(await drain()).toEqual([]);
    });

    promise('is 300 rows where copies of 300 tasks race, all to be retried', async () => {
      const ids = Array.from({ length: 300 }, newId);
      const copies = [backend, peer, backend, peer].map(async (one, index) => {
        const completions = (index % 2 === 0 ? ids : [...ids].reverse()).map((id) => retryOf(id));
        return { completions, results: await one.commit(completions) };
      });
      const applied = (await Promise.all(copies)).flatMap(({ completions, results }) =>
        completions.filter((_, index) => results[index] === 'applied'),
      );
      expect(new Set(applied.map(({ record }) => record.id))).toEqual(new Set(ids));
      expect(applied).toHaveLength(300);
      expect(sorted(await drain())).toEqual(sorted(applied.flatMap(({ followUps }) => followUps)));
    });

    promise('takes a task through its retries to SUCCESS', async () => {
      const id = newId();
      const results: CommitResult[] = [];
      for (const attempt of [0, 1, 2]) {
        results.push(...(await commit(backend, recordWrite({ id, state: 'STARTED', attempt, retries: attempt }))));
        results.push(...(await backend.commit([retryOf(id, attempt)])));
        expect(await only(peer, id)).toMatchObject({ state: 'RETRY', attempt: attempt + 1, retries: attempt + 1 });
        const sent = await drain();
        expect(sent.map(({ taskId, message }) => [taskId, message.headers['attempt']])).toEqual([[id, attempt + 1]]);
      }
      results.push(...(await commit(peer, recordWrite({ id, attempt: 3, retries: 3, resultJson: '"done"' }))));
      expect(new Set(results)).toEqual(new Set(['applied']));
      expect(await only(backend, id)).toMatchObject({
        state: 'SUCCESS',
        attempt: 3,
        result: 'done',
        scheduledAt: null,
      });
    });
  });

  describe('claim', () => {
    promise('leaves a row that was born leased to its writer, until the lease is over', async () => {
      const [caused, called] = [rowOf({ due: null }), callOf({ due: null })];
      await backend.commit([completion(recordWrite(), { followUps: [caused] })]);
      await backend.capabilities.outbox?.enqueue([called]);
      for (const one of [outbox, peerOutbox]) expect((await one.claim(10)).messages).toEqual([]);
      await expireLeases();
      expect(sorted((await peerOutbox.claim(10)).messages)).toEqual(sorted([caused, called]));
    });

    promise('gives what is due longest first, at most the limit', async () => {
      const years = [2003, 2001, 2005, 2002, 2004];
      const calls = years.map((year) => callOf({ due: { at: new Date(Date.UTC(year, 0)) } }));
      await outbox.enqueue(calls);
      const oldest = [2001, 2002, 2003, 2004, 2005].map((year) => calls[years.indexOf(year)]?.rowId);
      const rowIds = async (limit: number): Promise<readonly string[]> =>
        (await peerOutbox.claim(limit)).messages.map(({ rowId }) => rowId);
      expect(await rowIds(2)).toEqual(oldest.slice(0, 2));
      expect(await rowIds(10)).toEqual(oldest.slice(2));
      expect(await rowIds(10)).toEqual([]);
    });

    promise('gives nobody a row that is leased, and again what was not removed', async () => {
      const [kept, sent] = [callOf(), callOf()];
      await outbox.enqueue([kept, sent]);
      expect((await outbox.claim(10)).messages).toHaveLength(2);
      for (const one of [outbox, peerOutbox]) expect((await one.claim(10)).messages).toEqual([]);
      await outbox.remove([sent.rowId]);
      await expireLeases();
      expect(sorted((await peerOutbox.claim(10)).messages)).toEqual(sorted([kept]));
    });

    promise('gives each of 500 rows to one of many claimers', async () => {
      const calls = Array.from({ length: 500 }, () => callOf({ record: null }));
      await outbox.enqueue(calls);
      const claimer = async (one: Outbox): Promise<readonly OutboxMessage[]> => {
        const taken: OutboxMessage[] = [];
        for (;;) {
          const { messages } = await one.claim(7);
          expect(messages.length).toBeLessThanOrEqual(7);
          if (messages.length === 0) return taken;
          taken.push(...messages);
          expect(taken.length).toBeLessThanOrEqual(calls.length);
        }
      };
      const taken = (await Promise.all([outbox, peerOutbox, outbox, peerOutbox].map(claimer))).flat();
      expect(sorted([...taken, ...(await drain())])).toEqual(sorted(calls));
    });

    promise('tells when the next row is due, and what time it is', async () => {
      const empty = await outbox.claim(10);
      expect(empty).toMatchObject({ messages: [], nextDueMs: null });
      expect(Math.abs(empty.now - Date.now())).toBeLessThan(60_000);
      await outbox.enqueue([callOf({ due: { inMs: 2 * HOUR_MS } }), callOf({ due: { inMs: HOUR_MS } })]);
      const { nextDueMs } = await peerOutbox.claim(10);
      expect(nextDueMs).toBeGreaterThan(HOUR_MS - 60_000);
      expect(nextDueMs).toBeLessThanOrEqual(HOUR_MS);
    });

    promise('counts what is due now, taken or left, as no next row', async () => {
      await outbox.enqueue([callOf(), callOf(), callOf({ due: { at: new Date(FAR_FUTURE) } })]);
      const { messages, nextDueMs, now } = await outbox.claim(1);
      expect(messages).toHaveLength(1);
      expectNear(now + Number(nextDueMs), FAR_FUTURE);
    });

    const writers: Readonly<Record<string, (row: OutboxMessage) => Promise<unknown>>> = {
      commit: (row) => backend.commit([completion(recordWrite(), { followUps: [row] })]),
      enqueue: (row) => outbox.enqueue([{ ...row, record: null, unique: null }]),
      park: (row) => outbox.park(row),
      requeue: async (row) => {
        const record = recordWrite({ id: row.taskId, state: 'FAILURE' });
        await commit(backend, record);
        await outbox.requeue({ ...row, record: pending({ ...record, attempt: 1 }), unique: null });
      },
    };
    for (const [writer, write] of Object.entries(writers)) {
      promise(`gives every message as ${writer} took it`, async () => {
        const rows = MESSAGES.map((message, index) => {
          const taskId = newId();
          return rowOf({ taskId, task: `conformance.é${index}`, message });
        });
        for (const row of rows) await write(row);
        const taken = await drain();
        expect(sorted(taken)).toEqual(sorted(rows));
        expect(
          taken.every(({ message }) => message.body instanceof Uint8Array || types.isUint8Array(message.body)),
        ).toBe(true);
      });
    }
  });

  describe('a parked row', () => {
    const ids = (rows: readonly OutboxMessage[]): readonly string[] => rows.map(({ rowId }) => rowId).sort();

    promise("is nobody else's until its lease is over, and then anybody's, as it was", async () => {
      const row = rowOf({ due: { inMs: OUTBOX_LEASE_MS } });
      await outbox.park(row);
      for (const one of [outbox, peerOutbox]) {
        expect((await one.claim(10)).messages).toEqual([]);
        expect(await one.scheduled({})).toEqual([]);
        expect(await one.scheduled({ ids: [row.taskId] })).toEqual([]);
        expect(await one.cancel([row.taskId])).toEqual([]);
      }
      await expireLeases();
      expect(sorted((await peerOutbox.claim(10)).messages)).toEqual(sorted([row]));
    });

    promise('leaves the record of its task alone', async () => {
      const record = recordWrite({ state: 'STARTED' });
      await commit(backend, record);
      await outbox.park(rowOf({ taskId: record.id, due: { inMs: HOUR_MS } }));
      await outbox.park(rowOf({ due: { inMs: HOUR_MS } }));
      expect(await peer.find({})).toHaveLength(1);
      expect(await only(peer, record.id)).toMatchObject({ state: 'STARTED', scheduledAt: null });
    });

    promise('is due when it was last said to be', async () => {
      const [twice, renewed] = [rowOf({ due: { inMs: HOUR_MS } }), rowOf({ due: { inMs: HOUR_MS } })];
      for (const row of [twice, renewed, { ...twice, due: { inMs: 2 * HOUR_MS } }]) await outbox.park(row);
      expectNear((await peerOutbox.claim(10)).nextDueMs, HOUR_MS);
      expect(await outbox.renew([renewed.rowId], 3 * HOUR_MS)).toEqual([renewed.rowId]);
      expectNear((await peerOutbox.claim(10)).nextDueMs, 2 * HOUR_MS);
      expect(await peerOutbox.renew([renewed.rowId, twice.rowId], 0)).toHaveLength(2);
      expect(ids((await outbox.claim(10)).messages)).toEqual(ids([twice, renewed]));
    });

    promise('is renewed where it is still there', async () => {
      const [kept, gone] = [rowOf({ due: { inMs: HOUR_MS } }), rowOf({ due: { inMs: HOUR_MS } })];
      for (const row of [kept, gone]) await outbox.park(row);
      await peerOutbox.remove([gone.rowId]);
      expect(await outbox.renew([newId(), gone.rowId, kept.rowId], HOUR_MS)).toEqual([kept.rowId]);
      expect(await outbox.renew([], HOUR_MS)).toEqual([]);
      await outbox.renew([kept.rowId], 0);
      expect(ids((await outbox.claim(10)).messages)).toEqual([kept.rowId]);
    });

    promise("goes with its task's commit, whether that applies or not, and with no other", async () => {
      const rows = Array.from({ length: 6 }, () => rowOf({ due: NOW }));
      for (const row of rows) await outbox.park(row);
      const ended = recordWrite();
      await commit(peer, ended);
      const [plain, retried, late, refused, on] = rows.map(({ rowId, taskId }) => ({
        parkedRow: rowId,
        record: recordWrite({ id: taskId }),
      })) as [Parked, Parked, Parked, Parked, Parked, Parked];
      const again = retryOf(retried.record.id, 0, { inMs: HOUR_MS });
      const results = await backend.commit([
        completion(plain.record, { parkedRow: plain.parkedRow }),
        { ...again, parkedRow: retried.parkedRow },
        completion(ended, { parkedRow: late.parkedRow }),
        completion({ ...refused.record, resultJson: NUL }, { parkedRow: refused.parkedRow }),
        completion({ ...on.record, state: 'STARTED' }),
      ]);
      expect(results.map(codeOf)).toEqual([
        'applied',
        'applied',
        'superseded',
        'LOVAGE_RESULT_NOT_STORABLE',
        'applied',
      ]);
      expect(ids((await outbox.claim(10)).messages)).toEqual(ids(rows.slice(3)));
      expect(await outbox.scheduled({})).toHaveLength(1);
    });

    promise('is none where the message cannot be stored', async () => {
      const taskId = newId();
      const row = rowOf({ taskId, message: messageOf(taskId, { note: 'a\0b' }) });
      expect(codeOf(await outbox.park(row).catch((error: unknown) => error))).toBe('LOVAGE_RESULT_NOT_STORABLE');
      expect((await peerOutbox.claim(10)).messages).toEqual([]);
    });

    promise('is told to those who watch when it is handed back', async () => {
      const row = rowOf({ due: { inMs: HOUR_MS } });
      await outbox.park(row);
      let wakes = 0;
      const watch = peerOutbox.watch(() => (wakes += 1));
      await eventually(async () => {
        await outbox.renew([row.rowId], 0);
        return wakes > 0;
      }, true);
      await watch.stop();
    });
  });

  describe('remove', () => {
    promise('deletes what is named, claimed or not, and passes over what is not there', async () => {
      const [claimed, leased, kept] = [callOf(), callOf({ due: null }), callOf({ due: null })];
      await outbox.enqueue([claimed, leased, kept]);
      await outbox.claim(10);
      for (let round = 0; round < 2; round++) await peerOutbox.remove([newId(), claimed.rowId, leased.rowId, newId()]);
      await outbox.remove([]);
      await expireLeases();
      expect(sorted(await drain())).toEqual(sorted([kept]));
      await outbox.remove([kept.rowId]);
    });
  });

  describe('enqueue', () => {
    promise('writes a PENDING record that says when the call is due', async () => {
      const at = new Date(FAR_FUTURE);
      const [eta, countdown, leased, now] = [
        callOf({ due: { at } }),
        callOf({ due: { inMs: HOUR_MS } }),
        callOf({ due: null }),
        callOf(),
      ];
      expect(await outbox.enqueue([eta, countdown, leased, now])).toEqual(
        [eta, countdown, leased, now].map(({ taskId }) => ({ taskId, written: true })),
      );
      expect(await only(peer, eta.taskId)).toMatchObject({ state: 'PENDING', scheduledAt: at, args: [1, 2] });
      const waiting = await only(peer, countdown.taskId);
      expectNear(waiting.scheduledAt, Number(waiting.createdAt) + HOUR_MS);
      for (const { taskId } of [leased, now]) {
        expect(await only(peer, taskId)).toMatchObject({ state: 'PENDING', attempt: 0, scheduledAt: null });
      }
    });

    promise('leaves no record for a call that wants none', async () => {
      const call = callOf({ record: null });
      expect(await outbox.enqueue([call])).toEqual([{ taskId: call.taskId, written: true }]);
      expect(await backend.states([call.taskId])).toEqual(new Map());
      expect(sorted(await drain())).toEqual(sorted([call]));
    });

    promise('does not write a call again whose id has a record', async () => {
      const [waiting, ended, fresh] = [callOf(), callOf(), callOf()];
      await outbox.enqueue([waiting]);
      await commit(backend, recordWrite({ id: ended.taskId, resultJson: '"end"' }));
      const again = [waiting, ended, fresh].map((call) => {
        const record = pending(recordWrite({ id: call.taskId, attempt: 1 }));
        return { ...call, rowId: newId(), record };
      });
      expect((await peerOutbox.enqueue(again)).map(({ taskId, written }) => [taskId, written])).toEqual([
        [waiting.taskId, false],
        [ended.taskId, false],
        [fresh.taskId, true],
      ]);
      expect(await only(backend, ended.taskId)).toMatchObject({ state: 'SUCCESS', result: 'end' });
      expect((await drain()).map(({ taskId }) => taskId).sort()).toEqual([waiting.taskId, fresh.taskId].sort());
    });

    promise('writes one of those of one id in a call', async () => {
      const [call, other] = [callOf(), callOf()];
      const results = await outbox.enqueue([call, other, { ...call, rowId: newId() }]);
      expect(results.map(({ written }) => written)).toEqual([true, true, false]);
      expect(await drain()).toHaveLength(2);
    });

    promise('answers in order, for none and for many', async () => {
      expect(await outbox.enqueue([])).toEqual([]);
      const calls = Array.from({ length: 1_201 }, () => callOf());
      const known = calls.filter((_, index) => index % 100 === 0);
      await outbox.enqueue(known);
      const results = await outbox.enqueue([...calls].reverse().map((call) => ({ ...call, rowId: newId() })));
      expect(results).toEqual(
        calls.map((call, index) => ({ taskId: call.taskId, written: index % 100 !== 0 })).reverse(),
      );
      expect(new Set((await drain()).map(({ taskId }) => taskId))).toEqual(new Set(calls.map(({ taskId }) => taskId)));
    });

    promise('writes all or none', async () => {
      const unique = claimOf('running');
      const bad: Readonly<Record<string, OutboxCall>> = {
        record: callOf({ record: pending(recordWrite({ argsJson: `[${NUL}]` })) }),
        message: callOf({ message: messageOf(newId(), { note: '\0' }) }),
      };
      for (const call of Object.values(bad)) {
        const good = [callOf({ unique }), callOf({ record: null })] as const;
        await expect(outbox.enqueue([good[0], call, good[1]])).rejects.toMatchObject({
          code: 'LOVAGE_RESULT_NOT_STORABLE',
        });
        expect(await backend.states([good[0].taskId, call.taskId])).toEqual(new Map());
      }
      expect(await drain()).toEqual([]);
      const free = callOf({ unique });
      expect(await outbox.enqueue([free])).toEqual([{ taskId: free.taskId, written: true }]);
    });
  });

  describe('a unique key', () => {
    const hold = async (unique: UniqueClaim, fields: Partial<OutboxCall> = {}): Promise<string> => {
      const call = callOf({ ...fields, unique });
      expect(await outbox.enqueue([call])).toEqual([{ taskId: call.taskId, written: true }]);
      return call.taskId;
    };
    /** Who stands for another call with that key, which is not written; null: nobody, and now that call does. */
    const holderOf = async (unique: UniqueClaim): Promise<string | null> => {
      const call = callOf({ unique });
      const results = await peerOutbox.enqueue([call]);
      expect(results).toHaveLength(1);
      const written = results[0]?.taskId === call.taskId;
      expect(results[0]?.written).toBe(written);
      return written ? null : (results[0]?.taskId ?? null);
    };
    const end = async (id: string, unique: UniqueClaim, fields: Partial<RecordWrite> = {}): Promise<void> => {
      const results = await peer.commit([completion(recordWrite({ id, ...fields }), { uniqueKey: unique.key })]);
      expect(results).toEqual(['applied']);
    };

    for (const scope of UNIQUE_SCOPES) {
      promise(`lets the task that holds it stand for every other call: ${scope}`, async () => {
        const unique = claimOf(scope);
        const first = await hold(unique, { due: { inMs: HOUR_MS } });
        const second = callOf({ unique });
        const others = [callOf({ unique: claimOf(scope) }), callOf()];
        expect(await peerOutbox.enqueue([second, ...others])).toEqual([
          { taskId: first, written: false },
          ...others.map(({ taskId }) => ({ taskId, written: true })),
        ]);
        expect(await backend.states([second.taskId])).toEqual(new Map());
        expect(sorted(await drain())).toEqual(sorted(others));
      });
    }

    promise('is held by one of many calls in one go', async () => {
      const calls = Array.from({ length: 5 }, () => callOf({ unique: claimOf('running', { name: 'same' }) }));
      expect(await outbox.enqueue(calls)).toEqual(
        calls.map((_, index) => ({ taskId: calls[0]?.taskId, written: index === 0 })),
      );
      expect(await drain()).toHaveLength(1);
    });

    for (const before of ['free', 'run out']) {
      promise(`goes to one of 100 concurrent callers: ${before} before`, async () => {
        const unique = claimOf('running');
        if (before === 'run out') {
          await hold({ ...unique, ttlMs: 1 });
          await drain();
          await clockMoves(backend);
          await clockMoves(backend);
        }
        const calls = Array.from({ length: 100 }, () => callOf({ unique }));
        const results = await Promise.all(
          calls.map(async (call, index) => (index % 2 === 0 ? outbox : peerOutbox).enqueue([call])),
        );
        const written = results.flat().filter((result) => result.written);
        expect(written).toHaveLength(1);
        expect(new Set(results.flat().map(({ taskId }) => taskId))).toEqual(new Set([written[0]?.taskId]));
        expect((await drain()).map(({ taskId }) => taskId)).toEqual([written[0]?.taskId]);
        expect([...(await backend.states(calls.map(({ taskId }) => taskId))).keys()]).toEqual([written[0]?.taskId]);
      });
    }

    promise('is not taken by a call that is not written', async () => {
      const unique = claimOf('running');
      const known = recordWrite();
      await commit(backend, known);
      const call = callOf({ taskId: known.id, unique });
      expect(await outbox.enqueue([call])).toEqual([{ taskId: known.id, written: false }]);
      expect(await holderOf(unique)).toBeNull();
    });

    promise('is freed by release(), by its holder alone', async () => {
      const [unique, other] = [claimOf('queued'), claimOf('queued')];
      const [first, kept] = [await hold(unique), await hold(other)];
      await peerOutbox.release([]);
      await peerOutbox.release([
        { key: unique.key, taskId: newId() },
        { key: uniqueKey('conformance', newId()), taskId: first },
        { key: other.key, taskId: first },
      ]);
      expect(await holderOf(unique)).toBe(first);
      await peerOutbox.release([{ key: unique.key, taskId: first }]);
      expect(await holderOf(unique)).toBeNull();
      expect(await holderOf(other)).toBe(kept);
    });

    for (const state of ['SUCCESS', 'FAILURE', 'REVOKED']) {
      promise(`is freed by the commit of ${state}`, async () => {
        for (const scope of ['queued', 'running'] as const) {
          const unique = claimOf(scope);
          await end(await hold(unique), unique, { state });
          expect([scope, await holderOf(unique)]).toEqual([scope, null]);
        }
      });
    }

    promise('outlives the end for so long where it is held until finished', async () => {
      const long = claimOf('finished');
      const first = await hold(long);
      await end(first, long);
      expect(await holderOf(long)).toBe(first);
      const short = claimOf('finished', { ttlMs: 1 });
      // By its due time alone it would be held for decades.
      const second = await hold(short, { due: { at: new Date(FAR_FUTURE) } });
      await clockMoves(backend);
      await clockMoves(backend);
      expect(await holderOf(short)).toBe(second);
      await end(second, short);
      await clockMoves(backend);
      await clockMoves(backend);
      expect(await holderOf(short)).toBeNull();
    });

    promise('is free so long after the call is due, whatever has become of the task', async () => {
      for (const scope of UNIQUE_SCOPES) {
        const [over, future] = [claimOf(scope, { ttlMs: 1 }), claimOf(scope, { ttlMs: 1 })];
        await hold(over);
        const waiting = await hold(future, { due: { inMs: HOUR_MS } });
        await clockMoves(backend);
        await clockMoves(backend);
        expect([scope, await holderOf(over)]).toEqual([scope, null]);
        expect([scope, await holderOf(future)]).toEqual([scope, waiting]);
      }
    });

    promise('is held for its time from now on where the call is overdue', async () => {
      const unique = claimOf('running');
      const first = await hold(unique, { due: { at: new Date(0) } });
      expect(await holderOf(unique)).toBe(first);
    });

    promise('is not freed by what is no end, nor by an end that does not apply', async () => {
      const unique = claimOf('running');
      const id = await hold(unique);
      await end(id, unique, { state: 'STARTED' });
      expect(await backend.commit([{ ...retryOf(id), uniqueKey: unique.key }])).toEqual(['applied']);
      expect(await backend.commit([completion(recordWrite({ id }), { uniqueKey: unique.key })])).toEqual([
        'superseded',
      ]);
      expect(await holderOf(unique)).toBe(id);
      await end(id, unique, { attempt: 1 });
      expect(await holderOf(unique)).toBeNull();
    });

    promise("of the next holder's is nothing freed by the one before", async () => {
      const unique = claimOf('running');
      const stale = await hold({ ...unique, ttlMs: 1 });
      await clockMoves(backend);
      await clockMoves(backend);
      const next = await hold(unique);
      await outbox.release([{ key: unique.key, taskId: stale }]);
      await end(stale, unique);
      expect(await holderOf(unique)).toBe(next);
    });
  });

  describe('scheduled', () => {
    promise('lists what waits for its time, soonest first', async () => {
      const taskId = newId();
      const later = callOf({ due: { inMs: 3 * HOUR_MS } });
      const soon = callOf({
        taskId,
        task: 'conformance.soon',
        message: { ...messageOf(taskId, { retries: 2 }), queue: 'slow' },
        due: { inMs: HOUR_MS },
      });
      const retry = retryOf(newId(), 4, { inMs: 2 * HOUR_MS });
      await outbox.enqueue([later, soon, callOf({ due: null }), callOf()]);
      await backend.commit([retry, completion(recordWrite(), { followUps: [rowOf({ due: null })] })]);
      const listed = await peerOutbox.scheduled({});
      expect(listed.map(({ id }) => id)).toEqual([soon.taskId, retry.record.id, later.taskId]);
      expect(listed.map(({ retries }) => retries)).toEqual([2, 5, 0]);
      const { argsText = '', createdAt, eta, ...plain } = listed[0] ?? {};
      expect(plain).toEqual({ id: taskId, task: 'conformance.soon', queue: 'slow', retries: 2 });
      expect(JSON.parse(argsText)).toEqual([1, 2]);
      expect([createdAt, eta].map(types.isDate)).toEqual([true, true]);
      expectNear(eta, Number(createdAt) + HOUR_MS);
      expectNear(listed[1]?.eta, (await only(peer, retry.record.id)).scheduledAt);
    });

    promise('filters by everything that is given', async () => {
      const callIn = (hours: number, task: string, queue: string): OutboxCall => {
        const taskId = newId();
        return callOf({ taskId, task, message: { ...messageOf(taskId), queue }, due: { inMs: hours * HOUR_MS } });
      };
      const [third, first, second] = [callIn(3, 'a', 'x'), callIn(1, 'a', 'y'), callIn(2, 'b', 'x')];
      await outbox.enqueue([third, first, second]);
      const ids = async (filter: Parameters<Outbox['scheduled']>[0]): Promise<readonly string[]> =>
        (await peerOutbox.scheduled(filter)).map(({ id }) => id);
      expect(await ids({ task: 'a' })).toEqual([first.taskId, third.taskId]);
      expect(await ids({ queue: 'x' })).toEqual([second.taskId, third.taskId]);
      expect(await ids({ task: 'a', queue: 'x' })).toEqual([third.taskId]);
      expect(await ids({ limit: 2 })).toEqual([first.taskId, second.taskId]);
      expect(await ids({ limit: 0 })).toEqual([]);
      expect(await ids({ ids: [third.taskId, second.taskId, newId()] })).toEqual([second.taskId, third.taskId]);
      expect(await ids({ ids: [third.taskId], task: 'b' })).toEqual([]);
      expect(await ids({ ids: [] })).toEqual([]);
      expect(await ids({ ids: ['\0', '\ud800'] })).toEqual([]);
    });

    promise('gives 100 at most unless told otherwise', async () => {
      await outbox.enqueue(Array.from({ length: 120 }, () => callOf({ due: { inMs: HOUR_MS } })));
      expect(await outbox.scheduled({})).toHaveLength(100);
      expect(await outbox.scheduled({ limit: 110 })).toHaveLength(110);
    });
  });

  describe('cancel', () => {
    promise('takes scheduled tasks out and ends them REVOKED', async () => {
      const calls = Array.from({ length: 3 }, () => callOf({ due: { inMs: 10_000 } }));
      const retry = retryOf(newId(), 1, { inMs: HOUR_MS });
      const ids = [...calls.slice(0, 2).map(({ taskId }) => taskId), retry.record.id];
      await outbox.enqueue(calls);
      await backend.commit([retry]);
      expect([...(await peerOutbox.cancel([...ids, newId()]))].sort()).toEqual([...ids].sort());
      for (const id of ids) {
        const record = await only(backend, id);
        expect(record).toMatchObject({ state: 'REVOKED', args: [1, 2], scheduledAt: null });
        expect(types.isDate(record.finishedAt)).toBe(true);
      }
      expect(await only(backend, retry.record.id)).toMatchObject({ attempt: 2, retries: 2 });
      expect((await outbox.scheduled({})).map(({ id }) => id)).toEqual([calls[2]?.taskId]);
      await expireLeases();
      expect((await drain()).map(({ taskId }) => taskId)).toEqual([calls[2]?.taskId]);
    });

    promise('ends a task REVOKED that had no record', async () => {
      const call = callOf({ record: null, due: { inMs: HOUR_MS } });
      await outbox.enqueue([call]);
      expect(await outbox.cancel([call.taskId])).toEqual([call.taskId]);
      expect(await only(peer, call.taskId)).toMatchObject({ state: 'REVOKED', task: call.task, rootId: call.taskId });
    });

    promise('tells who waits', async () => {
      const call = callOf({ due: { inMs: HOUR_MS } });
      await outbox.enqueue([call]);
      const wait = waitFor(backend, call.taskId);
      await peerOutbox.cancel([call.taskId]);
      expect(await wait).toMatchObject({ id: call.taskId, state: 'REVOKED' });
    });

    promise('frees the unique key', async () => {
      const unique = claimOf('running');
      const call = callOf({ unique, due: { inMs: HOUR_MS } });
      await outbox.enqueue([call]);
      await outbox.cancel([call.taskId]);
      const next = callOf({ unique });
      expect(await peerOutbox.enqueue([next])).toEqual([{ taskId: next.taskId, written: true }]);
    });

    promise('takes what is overdue, and leaves a relay what it has claimed', async () => {
      const overdue = { at: new Date(Date.UTC(2001, 0)) };
      const [claimed, waiting] = [callOf({ due: overdue }), callOf({ due: overdue })];
      await outbox.enqueue([claimed]);
      expect((await outbox.claim(10)).messages).toHaveLength(1);
      await outbox.enqueue([waiting]);
      expect(await peerOutbox.cancel([claimed, waiting].map(({ taskId }) => taskId))).toEqual([waiting.taskId]);
      expect(await only(peer, claimed.taskId)).toMatchObject({ state: 'PENDING' });
      await expireLeases();
      expect(sorted(await drain())).toEqual(sorted([claimed]));
    });

    promise('ends a task once that waits in several rows', async () => {
      const id = newId();
      await backend.commit([retryOf(id, 0, { inMs: HOUR_MS })]);
      await backend.commit([retryOf(id, 1, { inMs: HOUR_MS })]);
      expect(await outbox.cancel([id, id])).toEqual([id]);
      expect(await only(peer, id)).toMatchObject({ state: 'REVOKED', attempt: 2 });
      expect(await outbox.scheduled({ ids: [id] })).toEqual([]);
    });

    promise('drops the outcome of a copy that runs all the same', async () => {
      const call = callOf({ due: { inMs: HOUR_MS } });
      await outbox.enqueue([call]);
      await commit(peer, recordWrite({ id: call.taskId, state: 'STARTED' }));
      expect(await outbox.cancel([call.taskId])).toEqual([call.taskId]);
      expect(await commit(peer, recordWrite({ id: call.taskId }))).toEqual(['superseded']);
      expect(await only(peer, call.taskId)).toMatchObject({ state: 'REVOKED' });
    });

    promise('changes nothing of a task that has ended', async () => {
      const unique = claimOf('running');
      const call = callOf({ unique, due: { inMs: HOUR_MS } });
      await outbox.enqueue([call]);
      await commit(peer, recordWrite({ id: call.taskId }));
      expect(await outbox.cancel([call.taskId])).toEqual([]);
      expect(await only(peer, call.taskId)).toMatchObject({ state: 'SUCCESS' });
      expect(await outbox.enqueue([callOf({ unique })])).toEqual([{ taskId: call.taskId, written: false }]);
    });

    promise('leaves alone what does not wait', async () => {
      const [leased, now, sent] = [callOf({ due: null }), callOf(), callOf({ due: { inMs: 10_000 } })];
      await outbox.enqueue([leased, now, sent]);
      await outbox.remove([sent.rowId]);
      const ended = recordWrite();
      await commit(backend, ended);
      const ids = [leased, now, sent].map(({ taskId }) => taskId);
      expect(await outbox.cancel([...ids, ended.id, newId(), '\0', '\ud800'])).toEqual([]);
      expect(await outbox.cancel([])).toEqual([]);
      for (const id of ids) expect(await only(peer, id)).toMatchObject({ state: 'PENDING' });
      await expireLeases();
      expect(sorted(await drain())).toEqual(sorted([leased, now]));
    });

    promise('is told to one of those who cancel at once', async () => {
      const ids = Array.from({ length: 50 }, newId);
      await outbox.enqueue(ids.map((taskId) => callOf({ taskId, due: { inMs: HOUR_MS } })));
      const told = await Promise.all([outbox.cancel(ids), peerOutbox.cancel([...ids].reverse())]);
      expect([...told.flat()].sort()).toEqual([...ids].sort());
    });
  });

  describe('requeue', () => {
    const failed = async (fields: Partial<RecordWrite> = {}): Promise<RecordWrite> => {
      const error = { type: 'RangeError', message: 'no', stack: null };
      const record = recordWrite({ state: 'FAILURE', error, worker: 'w@h:1', runtimeMs: 5, ...fields });
      await commit(backend, record);
      return record;
    };
    const again = (record: RecordWrite): OutboxCall => {
      const next = pending({ ...record, attempt: record.attempt + 1, retries: 0, error: null, worker: null });
      return callOf({ taskId: record.id, message: messageOf(record.id, { attempt: next.attempt }), record: next });
    };

    promise('takes a failure back, keeps its end, and sends the task', async () => {
      const record = await failed({ attempt: 3, retries: 3 });
      const { createdAt, finishedAt } = await only(backend, record.id);
      const call = again(record);
      expect(await peerOutbox.requeue(call)).toBe(true);
      const end = { state: 'FAILURE', attempt: 3, retries: 3, error: record.error, worker: 'w@h:1', finishedAt };
      expect(await only(backend, record.id)).toMatchObject({
        state: 'PENDING',
        attempt: 4,
        retries: 0,
        args: [1, 2],
        result: null,
        error: null,
        worker: null,
        createdAt,
        startedAt: null,
        finishedAt: null,
        history: [end],
      });
      expect(sorted(await drain())).toEqual(sorted([call]));
    });

    promise('lets the next attempt end the task, and no attempt before it', async () => {
      const record = await failed();
      await outbox.requeue(again(record));
      expect(await commit(backend, recordWrite({ id: record.id, attempt: 0 }))).toEqual(['superseded']);
      const wait = waitFor(backend, record.id);
      expect(await commit(peer, recordWrite({ id: record.id, state: 'STARTED', attempt: 1 }))).toEqual(['applied']);
      expect(await commit(peer, recordWrite({ id: record.id, attempt: 1, resultJson: '7' }))).toEqual(['applied']);
      expect(await wait).toMatchObject({ state: 'SUCCESS', result: 7, error: null });
      expect((await only(peer, record.id)).history.map(({ attempt }) => attempt)).toEqual([0]);
    });

    promise('keeps every end, oldest first', async () => {
      const first = await failed();
      await outbox.requeue(again(first));
      const second = await failed({
        id: first.id,
        attempt: 1,
        error: { type: 'Error', message: 'again', stack: null },
      });
      await outbox.requeue(again(second));
      const { attempt, history } = await only(peer, first.id);
      expect([attempt, ...history.map((end) => end.error?.message)]).toEqual([2, 'no', 'again']);
    });

    promise('writes nothing where the record is not that failure', async () => {
      const record = await failed({ attempt: 2 });
      const others = ['SUCCESS', 'REVOKED', 'PENDING', 'RETRY', 'STARTED'].map((state) => recordWrite({ state }));
      await commit(backend, ...others);
      const wrong = [...others, { ...record, attempt: 1 }, { ...record, attempt: 3 }, recordWrite()];
      for (const one of wrong) expect([one.state, await outbox.requeue(again(one))]).toEqual([one.state, false]);
      expect(await only(peer, record.id)).toMatchObject({ state: 'FAILURE', attempt: 2, history: [] });
      for (const { id, state } of others)
        expect(await only(peer, id)).toMatchObject({ state, attempt: 0, history: [] });
      expect(await drain()).toEqual([]);
    });

    promise('is done by one of those who ask at once', async () => {
      const record = await failed();
      const asked = [outbox, peerOutbox, outbox, peerOutbox].map((one) => one.requeue(again(record)));
      expect((await Promise.all(asked)).filter(Boolean)).toHaveLength(1);
      expect(await drain()).toHaveLength(1);
      expect(await only(peer, record.id)).toMatchObject({ attempt: 1, history: [{ attempt: 0 }] });
    });
  });

  describe('watch', () => {
    promise('tells of a row that is due at once, until it is stopped', async () => {
      let [early, wakes] = [0, 0];
      const stopped = outbox.watch(() => (early += 1));
      const watch = outbox.watch(() => (wakes += 1));
      await stopped.stop();
      await stopped.stop();
      // Whoever follows the news may have to connect for it first.
      await eventually(async () => {
        await peerOutbox.enqueue([callOf()]);
        return wakes > 0;
      }, true);
      expect(early).toBe(0);
      await watch.stop();
    });
  });

  // Processes die between any two calls: here the next one is just not made, and another process goes on.
  describe('fault points', () => {
    /** Copies of the same tasks, each with follow-ups of its own: one to be sent at once, one by a relay, one a task of its own. */
    const copyOf = (ids: readonly string[]): readonly Completion[] =>
      ids.flatMap((id, index) => [
        retryOf(`${id}-a${index}`, 0, null),
        retryOf(`${id}-b${index}`, 0, NOW),
        completion(recordWrite({ id: `${id}-c${index}` }), { followUps: [rowOf({ due: null }), rowOf()] }),
      ]);
    const rowIdsOf = (rows: readonly { readonly rowId: string }[]): readonly string[] => rows.map(({ rowId }) => rowId);

    async function* committing(one: ResultBackend, completions: readonly Completion[], published: string[]): Steps {
      const results = await one.commit(completions);
      yield;
      const applied = completions.filter((_, index) => results[index] === 'applied');
      const own = rowIdsOf(applied.flatMap(({ followUps }) => followUps.filter(({ due }) => due === null)));
      published.push(...own);
      yield;
      await outboxOf(one).remove(own);
      yield;
    }

    async function* calling(one: Outbox, calls: readonly OutboxCall[], published: string[]): Steps {
      const results = await one.enqueue(calls);
      yield;
      const own = rowIdsOf(calls.filter((_, index) => results[index]?.written === true));
      published.push(...own);
      yield;
      await one.remove(own);
      yield;
    }

    async function* relaying(one: Outbox, published: string[]): Steps {
      for (;;) {
        const { messages } = await one.claim(5);
        if (messages.length === 0) return;
        yield;
        published.push(...rowIdsOf(messages));
        yield;
        await one.remove(rowIdsOf(messages));
        yield;
      }
    }

    const COMMITTER = ['before it commits', 'before it publishes', 'before it removes', 'at its end'];
    /** Its delivery is settled by the acknowledgement; until then the broker has the message. */
    async function* parking(one: ResultBackend, end: Completion, run: ParkedRun): Steps {
      await outboxOf(one).park(run.row);
      yield;
      run.isAcknowledged = true;
      yield;
      await outboxOf(one).renew([run.row.rowId], OUTBOX_LEASE_MS);
      yield;
      await one.commit([{ ...end, parkedRow: run.row.rowId }]);
      yield;
    }

    const PARKER = ['before it parks', 'before it acknowledges', 'before it renews', 'before it commits', 'at its end'];

    for (const [parked, stop] of PARKER.entries()) {
      promise(`a worker stops ${stop} of a long task, and a relay anywhere: it ends once`, async () => {
        for (const [relayed, relayStop] of RELAY.entries()) {
          const id = newId();
          const [end, copy] = [retryOf(id, 0, null), retryOf(id, 0, null)];
          const run: ParkedRun = { row: rowOf({ taskId: id, due: { inMs: OUTBOX_LEASE_MS } }), isAcknowledged: false };
          const published: string[] = [];
          await advance(parking(backend, end, run), parked);
          await expireLeases();
          await advance(relaying(outbox, published), relayed);
          await expireLeases();
          await advance(relaying(peerOutbox, published), Infinity);
          const hasEnded = parked === 4;
          const isDelivered = !run.isAcknowledged || published.includes(run.row.rowId);
          expect([relayStop, hasEnded || isDelivered]).toEqual([relayStop, true]);
          expect([relayStop, published.includes(run.row.rowId)]).toEqual([relayStop, parked > 0 && !hasEnded]);
          if (isDelivered) expect(await peer.commit([copy])).toEqual([hasEnded ? 'superseded' : 'applied']);
          await expireLeases();
          await advance(relaying(peerOutbox, published), Infinity);
          const caused = new Set(published.filter((rowId) => rowId !== run.row.rowId));
          expect([relayStop, caused]).toEqual([relayStop, new Set(rowIdsOf((hasEnded ? end : copy).followUps))]);
        }
      });
    }

    const CALLER = ['before it writes', 'before it publishes', 'before it removes', 'at its end'];
    const RELAY = ['before it claims', 'before it publishes', 'before it removes', 'at its second claim'];

    for (const [committed, stop] of COMMITTER.entries()) {
      promise(`a worker stops ${stop}, and a relay anywhere: each follow-up is caused once, and sent`, async () => {
        for (const [relayed, relayStop] of RELAY.entries()) {
          const ids = Array.from({ length: 4 }, newId);
          const [copy, redelivered] = [copyOf(ids), copyOf(ids)];
          const published: string[] = [];
          await advance(committing(backend, copy, published), committed);
          await advance(relaying(outbox, published), relayed);
          // Nothing was acknowledged: another worker gets the messages.
          await advance(committing(peer, redelivered, published), Infinity);
          await expireLeases();
          await advance(relaying(peerOutbox, published), Infinity);
          const causing = committed === 0 ? redelivered : copy;
          const caused = rowIdsOf(causing.flatMap(({ followUps }) => followUps));
          expect([relayStop, new Set(published)]).toEqual([relayStop, new Set(caused)]);
          await expireLeases();
          expect((await outbox.claim(10)).messages).toEqual([]);
        }
      });
    }

    for (const [called, stop] of CALLER.entries()) {
      promise(`a caller stops ${stop}, and a relay anywhere: each call is written once, and sent`, async () => {
        for (const [relayed, relayStop] of RELAY.entries()) {
          const calls = Array.from({ length: 12 }, () => callOf({ due: null }));
          const again = calls.map((call) => ({ ...call, rowId: newId() }));
          const published: string[] = [];
          await advance(calling(outbox, calls, published), called);
          await expireLeases();
          await advance(relaying(outbox, published), relayed);
          // The caller does not know, and makes the same calls again.
          await advance(calling(peerOutbox, again, published), Infinity);
          await expireLeases();
          await advance(relaying(peerOutbox, published), Infinity);
          const written = rowIdsOf(called === 0 ? again : calls);
          expect([relayStop, new Set(published)]).toEqual([relayStop, new Set(written)]);
          await expireLeases();
          expect((await outbox.claim(10)).messages).toEqual([]);
        }
      });
    }
  });
}

type Parked = Pick<Completion, 'record' | 'parkedRow'>;

/** A task that is parked, as far as it has come. */
interface ParkedRun {
  readonly row: OutboxMessage;
  isAcknowledged: boolean;
}

/** A process that can be left at any step. */
type Steps = AsyncGenerator<undefined, void>;

async function advance(steps: Steps, count: number): Promise<void> {
  for (let done = 0; done < count; done++) if ((await steps.next()).done === true) return;
}

function completionOfHeaders(headers: Record<string, HeaderValue>): Completion {
  const taskId = newId();
  return completion(recordWrite(), { followUps: [rowOf({ taskId, message: messageOf(taskId, headers) })] });
}

/** Rows as they can be compared: by id, without when they are due, with the bytes as text. */
function sorted(rows: readonly OutboxMessage[]): readonly unknown[] {
  return [...rows]
    .sort((a, b) => (a.rowId < b.rowId ? -1 : 1))
    .map(({ rowId, taskId, task, message }) => ({
      rowId,
      taskId,
      task,
      message: { ...message, body: Buffer.from(message.body).toString('latin1') },
    }));
}

const HEADERS = {
  text: 'é "\\" {},\' 日本 😀 \u2028\u0001',
  empty: '',
  yes: true,
  no: false,
  none: null,
  zero: 0,
  int32: 2_147_483_647,
  negative: -2_147_483_648,
  int64: Number.MAX_SAFE_INTEGER,
  tenth: 0.1,
  tiny: Number.MIN_VALUE,
  huge: Number.MAX_VALUE,
  list: [],
  table: { a: { b: [1, [2, { c: null }], {}, ''], '': 'no name' }, '1': 1 },
  'x-odd "name" é': ['\\u0000', null],
};

const BODIES = [
  '[[], {}, {"callbacks": null, "errbacks": null, "chain": null, "chord": null}]',
  '[["é 日本 😀 \\u0000 \\ud83d\\ude00 \\" \\\\ \\n \u2028"], {"k": "\\u00e9"}, {}]',
  '[[true, false, null, 0, -0, 1.0, 1e400, -1.5E-7, 12345678901234567890123], {}, null]',
  ' [ [ {"a": 1, "a": 2, "": {}} , [ [ ] ] ] ,\t{"x":[]},\r\n {} ] ',
  `[["${'x'.repeat(300_000)}"], {}, {}]`,
];

const MESSAGES: readonly Message[] = [
  ...BODIES.map((body) => ({ ...messageOf('id'), body: Buffer.from(body) })),
  // A view of a larger buffer, as drivers cut it.
  { ...messageOf('id'), body: new Uint8Array(Buffer.from('....[[3], {}, {}]....')).subarray(4, -4) },
  { ...messageOf('id'), headers: HEADERS },
  { ...messageOf('id'), headers: {} },
  { ...messageOf('id'), contentType: '', contentEncoding: '', correlationId: null },
  {
    ...messageOf('id'),
    queue: 'odd "queue" é',
    contentType: 'application/json; charset=utf-8',
    correlationId: 'c é',
    replyTo: 'reply-to',
    priority: 0,
  },
  { ...messageOf('id'), priority: 255 },
];
