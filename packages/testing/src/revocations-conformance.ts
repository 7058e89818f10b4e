import { types } from 'node:util';
import type { Outbox, ResultBackend, RevocationStore, RevokeResult } from '@lovage/core';
import { eventually } from './eventually.js';
import type { OutboxStores } from './outbox-conformance.js';
import { HOUR_MS, callOf, claimOf, outboxOf, retryOf } from './outbox-rows.js';
import { clockMoves, commit, completion, newId, only, recordWrite, waitFor } from './records.js';

type Test = () => Promise<void>;

const PLAIN = { terminate: false, reason: 'a reason' } as const;
const MINUTE_MS = 60_000;

/** Declares the tests of the capability `revocations`: each promise of its docstrings. */
export function describeRevocations(stores: () => OutboxStores, promise: (title: string, test: Test) => void): void {
  let backend: ResultBackend;
  let peer: ResultBackend;
  let revocations: RevocationStore;
  let peerRevocations: RevocationStore;
  let outbox: Outbox;

  beforeEach(() => {
    ({ backend, peer } = stores());
    [revocations, peerRevocations] = [revocationsOf(backend), revocationsOf(peer)];
    outbox = outboxOf(backend);
  });

  /** What workers are told of one task. */
  const told = async (id: string): Promise<unknown> =>
    (await peerRevocations.recent(MINUTE_MS)).find((revocation) => revocation.id === id) ?? null;

  promise('ends REVOKED a task of which nothing is known, and keeps that it is', async () => {
    const id = newId();
    expect(await revocations.revoke([id], PLAIN)).toEqual([{ id, state: 'REVOKED' }]);
    const record = await only(peer, id);
    expect(record).toMatchObject({ state: 'REVOKED', task: '', queue: '', args: null, attempt: 0, rootId: id });
    expect(record.error).toMatchObject({ type: 'TaskRevokedError', message: 'a reason', code: 'LOVAGE_TASK_REVOKED' });
    expect(types.isDate(record.finishedAt)).toBe(true);
    expect(await told(id)).toEqual({ id, ...PLAIN });
  });

  promise('lets a copy that is not run say what it knows of such a task, and keeps its end', async () => {
    const [id, known] = [newId(), recordWrite({ state: 'STARTED' })];
    await commit(backend, known);
    await revocations.revoke([id, known.id], PLAIN);
    const { finishedAt, error } = await only(backend, id);
    await clockMoves(backend);
    const said = { state: 'REVOKED', resultJson: null, retries: 1, attempt: 1, worker: 'w@h:1', error: null } as const;
    const unique = claimOf('running');
    expect(await peer.commit([completion(recordWrite({ id, ...said }), { uniqueKey: unique.key })])).toEqual([
      'applied',
    ]);
    expect(await only(peer, id)).toMatchObject({
      state: 'REVOKED',
      task: 'conformance.task',
      queue: 'conformance',
      args: [1, 2],
      attempt: 1,
      worker: 'w@h:1',
      error,
      finishedAt,
    });
    expect(await commit(peer, recordWrite({ id, ...said }), recordWrite({ id: known.id, ...said }))).toEqual([
      'superseded',
      'superseded',
    ]);
  });

  promise('takes a task that waits for its time out of the outbox', async () => {
    const [call, other] = [callOf({ due: { inMs: 10_000 } }), callOf({ due: { inMs: 10_000 } })];
    const retry = retryOf(newId(), 1, { inMs: HOUR_MS });
    await outbox.enqueue([call, other]);
    await backend.commit([retry]);
    const ids = [retry.record.id, call.taskId];
    expect(await peerRevocations.revoke(ids, PLAIN)).toEqual(ids.map((id) => ({ id, state: 'REVOKED' })));
    expect(await only(backend, call.taskId)).toMatchObject({
      state: 'REVOKED',
      task: call.task,
      args: [1, 2],
      scheduledAt: null,
    });
    expect(await only(backend, retry.record.id)).toMatchObject({ state: 'REVOKED', attempt: 2, retries: 2 });
    await stores().expireLeases();
    expect((await outbox.claim(10)).messages.map(({ taskId }) => taskId)).toEqual([other.taskId]);
  });

  promise('takes out what is due now, with or without a record', async () => {
    const calls = [callOf(), callOf({ record: null }), callOf({ record: null, due: { inMs: HOUR_MS } })];
    await outbox.enqueue(calls);
    await revocations.revoke(
      calls.map(({ taskId }) => taskId),
      PLAIN,
    );
    for (const { taskId, task } of calls) {
      expect(await only(peer, taskId)).toMatchObject({ state: 'REVOKED', task, queue: 'conformance', rootId: taskId });
    }
    await stores().expireLeases();
    expect((await outbox.claim(10)).messages).toEqual([]);
    expect(await outbox.scheduled({})).toEqual([]);
  });

  promise('leaves a message to whoever has been given it', async () => {
    const [claimed, leased] = [callOf(), callOf({ due: null })];
    await outbox.enqueue([claimed, leased]);
    expect((await outbox.claim(10)).messages).toHaveLength(1);
    const ids = [claimed.taskId, leased.taskId];
    expect(await peerRevocations.revoke(ids, PLAIN)).toEqual(ids.map((id) => ({ id, state: 'REVOKED' })));
    await stores().expireLeases();
    expect((await outbox.claim(10)).messages.map(({ taskId }) => taskId).sort()).toEqual([...ids].sort());
  });

  promise('drops the outcome of a task that runs, and all that it would cause', async () => {
    const id = newId();
    await commit(backend, recordWrite({ id, state: 'STARTED', runtimeMs: 5 }));
    await revocations.revoke([id], PLAIN);
    expect(await commit(peer, recordWrite({ id }))).toEqual(['superseded']);
    expect(await peer.commit([retryOf(id)])).toEqual(['superseded']);
    const record = await only(backend, id);
    expect(record).toMatchObject({ state: 'REVOKED', result: null, task: 'conformance.task' });
    expect(types.isDate(record.startedAt)).toBe(true);
    await stores().expireLeases();
    expect((await outbox.claim(10)).messages).toEqual([]);
  });

  for (const state of ['SUCCESS', 'FAILURE'] as const) {
    promise(`leaves ${state} as it is, and says so`, async () => {
      const error = state === 'FAILURE' ? { type: 'RangeError', message: 'no', stack: null } : null;
      const [ended, other] = [recordWrite({ state, error }), newId()];
      await commit(backend, ended);
      const before = await only(backend, ended.id);
      expect(await revocations.revoke([ended.id, other], { ...PLAIN, terminate: true })).toEqual([
        { id: ended.id, state },
        { id: other, state: 'REVOKED' },
      ]);
      expect(await only(backend, ended.id)).toEqual(before);
      expect(await told(ended.id)).toBeNull();
    });
  }

  promise('keeps the end of a task that is revoked twice, and that it is to be terminated', async () => {
    const id = newId();
    await revocations.revoke([id], PLAIN);
    const first = await only(backend, id);
    await clockMoves(backend);
    expect(await peerRevocations.revoke([id], { terminate: true, reason: 'now' })).toEqual([{ id, state: 'REVOKED' }]);
    expect(await only(backend, id)).toEqual(first);
    expect(await told(id)).toEqual({ id, terminate: true, reason: 'now' });
    await revocations.revoke([id], PLAIN);
    expect(await told(id)).toEqual({ id, ...PLAIN, terminate: true });
  });

  promise('frees unique keys, also of a task that has left the outbox', async () => {
    for (const isSent of [false, true]) {
      const unique = claimOf('running');
      const call = callOf({ unique, due: { inMs: HOUR_MS } });
      await outbox.enqueue([call]);
      if (isSent) await outbox.remove([call.rowId]);
      await revocations.revoke([call.taskId], PLAIN);
      const next = callOf({ unique });
      expect(await outbox.enqueue([next])).toEqual([{ taskId: next.taskId, written: true }]);
    }
  });

  promise('holds a key for its time from the end on where it is held until finished', async () => {
    const unique = claimOf('finished');
    const call = callOf({ unique });
    await outbox.enqueue([call]);
    await revocations.revoke([call.taskId], PLAIN);
    expect(await outbox.enqueue([callOf({ unique })])).toEqual([{ taskId: call.taskId, written: false }]);
  });

  promise('tells who waits', async () => {
    const ids = Array.from({ length: 3 }, newId);
    const waits = Promise.all(ids.map((id) => waitFor(backend, id)));
    await peerRevocations.revoke(ids, PLAIN);
    expect((await waits).map(({ id, state }) => [id, state])).toEqual(ids.map((id) => [id, 'REVOKED']));
  });

  promise('revokes many at once, each with its own answer, in order', async () => {
    expect(await revocations.revoke([], PLAIN)).toEqual([]);
    const ids = Array.from({ length: 1_203 }, newId);
    const ended = ids.filter((_, index) => index % 5 === 0);
    await backend.commit(ended.map((id) => completion(recordWrite({ id }))));
    const expected = ids.map((id, index) => ({ id, state: index % 5 === 0 ? 'SUCCESS' : 'REVOKED' }));
    expect(await revocations.revoke(ids, PLAIN)).toEqual(expected);
    expect(await peerRevocations.recent(MINUTE_MS)).toHaveLength(ids.length - ended.length);
  });

  promise('of commits and revocations that race, one decides what becomes of each task', async () => {
    const ids = Array.from({ length: 300 }, newId);
    const completions = ids.map((id) => completion(recordWrite({ id })));
    const [applied, ...answers] = await Promise.all([
      backend.commit(completions),
      peerRevocations.revoke([...ids].reverse(), PLAIN),
      revocations.revoke(ids, PLAIN),
    ]);
    const records = await backend.find({ ids });
    const states = new Map(records.map(({ id, state }) => [id, state]));
    ids.forEach((id, index) => expect(states.get(id)).toBe(applied[index] === 'applied' ? 'SUCCESS' : 'REVOKED'));
    for (const answer of answers) for (const { id, state } of answer) expect([id, state]).toEqual([id, states.get(id)]);
    expect(sortedIds(await peerRevocations.recent(MINUTE_MS))).toEqual(
      sortedIds(records.filter(({ state }) => state === 'REVOKED')),
    );
  });

  promise('tells whoever watches, until that is ended', async () => {
    let [heard, unheard] = [0, 0];
    const unwatch = revocations.watch(() => (heard += 1));
    revocations.watch(() => (unheard += 1))();
    // It counts as news too that listening has begun.
    await eventually(async () => {
      await peerRevocations.revoke([newId()], PLAIN);
      return heard > 1;
    }, true);
    unwatch();
    expect(unheard).toBeLessThan(heard);
  });

  promise('gives what is recent by its own clock, and deletes what is old', async () => {
    const ids = Array.from({ length: 5 }, newId);
    await revocations.revoke(ids, PLAIN);
    expect(await revocations.expire(MINUTE_MS, 10)).toBe(0);
    expect(sortedIds(await peerRevocations.recent(MINUTE_MS))).toEqual([...ids].sort());
    await clockMoves(backend);
    await clockMoves(backend);
    expect(await revocations.recent(0)).toEqual([]);
    expect(await revocations.expire(1, 3)).toBe(3);
    expect(await peerRevocations.expire(1, 3)).toBe(2);
    expect(await revocations.recent(MINUTE_MS)).toEqual([]);
    expect(await only(backend, ids[0] ?? '')).toMatchObject({ state: 'REVOKED' });
  });
}

function revocationsOf(backend: ResultBackend): RevocationStore {
  const { revocations } = backend.capabilities;
  expect(revocations).toBeDefined();
  return revocations as RevocationStore;
}

function sortedIds(rows: readonly Pick<RevokeResult, 'id'>[]): readonly string[] {
  return rows.map(({ id }) => id).sort();
}
