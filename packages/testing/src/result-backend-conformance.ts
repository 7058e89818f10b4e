/// <reference types="jest" />
import { types } from 'node:util';
import type { CommitResult, RecordWrite, ResultBackend } from '@lovage/core';
import { DEADLINE_MS } from './eventually.js';
import { describeOutbox } from './outbox-conformance.js';
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
import { describeRevocations } from './revocations-conformance.js';
import type { ResultBackendFactory, ResultBackendFixture } from './result-backend-fixture.js';
import { describeStarts } from './starts-conformance.js';

export interface ResultBackendConformanceOptions {
  /** Title of a test → why this backend cannot pass it. A title that no test has is an error. */
  readonly skip?: Readonly<Record<string, string>>;
  /** Why this backend has no outbox; the tests of that capability are skipped then. */
  readonly noOutbox?: string;
  /** Why this backend keeps no revocations; the tests of that capability are skipped then. */
  readonly noRevocations?: string;
  /** Why this backend counts no starts; the tests of that capability are skipped then. */
  readonly noStarts?: string;
}

const WEEK_MS = 7 * 24 * 3_600_000;
const NEVER = new AbortController().signal;

/**
 * Declares (with Jest's globals) the tests that every ResultBackend must pass: each promise of the interface's docstrings.
 *
 * @example
 * describeResultBackend('records', ({ expiresMs }) => ({ backend: new MyBackend({ expiresMs }) }), { noOutbox: 'it keeps records alone' });
 */
export function describeResultBackend(
  name: string,
  factory: ResultBackendFactory,
  options: ResultBackendConformanceOptions = {},
): void {
  const skip = new Map(Object.entries(options.skip ?? {}));

  describe(`ResultBackend: ${name}`, () => {
    let fixture: ResultBackendFixture;
    let backend: ResultBackend;
    let peer: ResultBackend;

    async function open(expiresMs = WEEK_MS): Promise<void> {
      fixture = await factory({ expiresMs });
      backend = fixture.backend;
      peer = fixture.peer ?? backend;
      await backend.start({ retryForMs: DEADLINE_MS });
      if (peer !== backend) await peer.start({ retryForMs: DEADLINE_MS });
    }

    async function close(): Promise<void> {
      await fixture.backend.stop();
      await fixture.peer?.stop();
      await fixture.dispose?.();
    }

    async function expireLeases(): Promise<void> {
      // Called without a check: a fixture of a backend that has an outbox without it fails here, and says so.
      expect(fixture).toHaveProperty('expireLeases');
      await fixture.expireLeases?.();
    }

    function promise(title: string, test: () => Promise<void>): void {
      const reason = skip.get(title);
      skip.delete(title);
      (reason === undefined ? it : it.skip)(reason === undefined ? title : `${title} (${reason})`, test);
    }

    beforeEach(() => open());
    afterEach(() => close());

    describe('commit', () => {
      promise('stores every field', async () => {
        const cause = { type: 'TypeError', message: 'deeper', stack: null, code: 'X1' };
        const write = recordWrite({
          state: 'FAILURE',
          attempt: 2,
          argsJson: '[1,{"a":[true,null,"é \\" \\\\ {},"]}]',
          kwargsJson: '{"k":{"__type__":"x"}}',
          resultJson: '"r"',
          error: { type: 'RangeError', message: 'division by "zero"', stack: 'at a\nat b', cause },
          progressJson: '{"done":0.5}',
          retries: 1,
          worker: 'w@host:1',
          parentId: 'parent',
          rootId: 'root',
          groupId: 'group',
          runtimeMs: 60_000,
        });
        expect(await commit(backend, write)).toEqual(['applied']);
        const { createdAt, startedAt, finishedAt, ...record } = await only(peer, write.id);
        // Not `toBeInstanceOf`: a copy made by structuredClone under Jest is of another realm.
        expect([createdAt, startedAt, finishedAt].map(types.isDate)).toEqual([true, true, true]);
        expect(record).toEqual({
          id: write.id,
          task: write.task,
          state: 'FAILURE',
          attempt: 2,
          args: [1, { a: [true, null, 'é " \\ {},'] }],
          kwargs: { k: { __type__: 'x' } },
          result: 'r',
          error: write.error,
          progress: { done: 0.5 },
          retries: 1,
          queue: write.queue,
          worker: 'w@host:1',
          parentId: 'parent',
          rootId: 'root',
          groupId: 'group',
          scheduledAt: null,
          history: [],
        });
      });

      promise('stores what is absent as null', async () => {
        const absent = recordWrite({ argsJson: null, kwargsJson: null, resultJson: null });
        await commit(backend, absent);
        const record = await only(backend, absent.id);
        expect([record.args, record.kwargs, record.result, record.error, record.progress]).toEqual([
          null,
          null,
          null,
          null,
          null,
        ]);
        expect([record.worker, record.parentId, record.groupId, record.startedAt]).toEqual([null, null, null, null]);
        expect([record.scheduledAt, record.history]).toEqual([null, []]);
      });

      promise('keeps when a task is due for as long as it waits for that', async () => {
        const at = new Date('2031-05-06T07:08:09.010Z');
        const [eta, countdown] = [newId(), newId()];
        await commit(backend, recordWrite({ id: eta, state: 'RETRY', attempt: 1, due: { at } }));
        expect(await only(peer, eta)).toMatchObject({ scheduledAt: at, finishedAt: null });
        await commit(backend, recordWrite({ id: countdown, state: 'PENDING', due: { inMs: 3_600_000 } }));
        const { createdAt, scheduledAt } = await only(peer, countdown);
        expectNear(scheduledAt, Number(createdAt) + 3_600_000);
        for (const state of ['RECEIVED', 'SUCCESS']) {
          await commit(backend, recordWrite({ id: eta, state, attempt: 1 }));
          expect(await only(peer, eta)).toMatchObject({ state, scheduledAt: null });
        }
      });

      promise('takes the times from one clock: started_at is the end less the run time', async () => {
        const write = recordWrite({ runtimeMs: 60_000 });
        await commit(backend, write);
        const { createdAt, startedAt, finishedAt } = await only(backend, write.id);
        expect(finishedAt).toEqual(createdAt);
        expect(Number(finishedAt) - Number(startedAt)).toBe(60_000);
      });

      promise('keeps created_at and started_at, and sets finished_at once the state is final', async () => {
        const id = newId();
        await commit(backend, recordWrite({ id, state: 'RECEIVED' }));
        const received = await only(backend, id);
        expect([received.startedAt, received.finishedAt]).toEqual([null, null]);
        await commit(backend, recordWrite({ id, state: 'STARTED', runtimeMs: 0 }));
        const started = await only(backend, id);
        expect(types.isDate(started.startedAt)).toBe(true);
        await commit(backend, recordWrite({ id, state: 'REVOKED', runtimeMs: null }));
        const ended = await only(backend, id);
        expect(ended.createdAt).toEqual(received.createdAt);
        expect(ended.startedAt).toEqual(started.startedAt);
        expect(Number(ended.finishedAt)).toBeGreaterThanOrEqual(Number(ended.createdAt));
      });

      promise('answers one result a completion, in order, for none and for many', async () => {
        expect(await backend.commit([])).toEqual([]);
        const writes = Array.from({ length: 1_201 }, (_, index) => recordWrite({ resultJson: String(index) }));
        const reversed = [...writes].reverse();
        const results = await backend.commit(reversed.map((record) => completion(record)));
        expect(results).toHaveLength(1_201);
        expect(new Set(results)).toEqual(new Set(['applied']));
        const again = await backend.commit(
          [...writes.slice(0, 3), recordWrite(), ...writes.slice(3, 5)].map((record) => completion(record)),
        );
        expect(again).toEqual(['superseded', 'superseded', 'superseded', 'applied', 'superseded', 'superseded']);
        const found = await backend.find({ ids: writes.map(({ id }) => id) });
        expect(new Map(found.map(({ id, result }) => [id, result]))).toEqual(
          new Map(writes.map(({ id }, index) => [id, index])),
        );
      });

      for (const final of ['SUCCESS', 'FAILURE', 'REVOKED']) {
        promise(`never overrides ${final}, nor with a later attempt`, async () => {
          const id = newId();
          await commit(backend, recordWrite({ id, state: final, resultJson: '"first"' }));
          for (const state of ['PENDING', 'RECEIVED', 'STARTED', 'PROGRESS', 'MINE', 'SUCCESS', 'FAILURE', 'REVOKED']) {
            for (const attempt of [0, 1, 5]) {
              expect(await commit(peer, recordWrite({ id, state, attempt, resultJson: '"later"' }))).toEqual([
                'superseded',
              ]);
            }
          }
          expect(await only(backend, id)).toMatchObject({ state: final, attempt: 0, result: 'first' });
        });
      }

      promise('never steps back within an attempt, and may repeat a state of a run', async () => {
        const order = ['PENDING', 'RECEIVED', 'STARTED', 'PROGRESS'];
        for (const [from, stored] of order.entries()) {
          for (const [to, next] of order.entries()) {
            const id = newId();
            const applies = to >= from && next !== 'PENDING';
            await commit(backend, recordWrite({ id, state: stored, worker: 'first' }));
            const result = await commit(backend, recordWrite({ id, state: next, worker: 'second' }));
            expect([stored, next, ...result]).toEqual([stored, next, applies ? 'applied' : 'superseded']);
            expect(await only(backend, id)).toMatchObject(
              applies ? { state: next, worker: 'second' } : { state: stored, worker: 'first' },
            );
          }
        }
      });

      promise("treats a state of the user's own as running", async () => {
        const id = newId();
        const results: CommitResult[] = [];
        for (const state of ['STARTED', 'UPLOADING', 'PROGRESS', 'CHECKING', 'STARTED', 'SUCCESS', 'UPLOADING']) {
          results.push(...(await commit(backend, recordWrite({ id, state }))));
        }
        expect(results).toEqual(['applied', 'applied', 'applied', 'applied', 'superseded', 'applied', 'superseded']);
      });

      promise('lets a later attempt override what is not final, and an earlier one nothing', async () => {
        const id = newId();
        await commit(backend, recordWrite({ id, state: 'STARTED', attempt: 1 }));
        expect(await commit(backend, recordWrite({ id, state: 'SUCCESS', attempt: 0 }))).toEqual(['superseded']);
        expect(await commit(backend, recordWrite({ id, state: 'RECEIVED', attempt: 2 }))).toEqual(['applied']);
        expect(await commit(backend, recordWrite({ id, state: 'SUCCESS', attempt: 1 }))).toEqual(['superseded']);
        expect(await only(backend, id)).toMatchObject({ state: 'RECEIVED', attempt: 2 });
        expect(await commit(backend, recordWrite({ id, state: 'FAILURE', attempt: 2 }))).toEqual(['applied']);
      });

      for (const announced of ['PENDING', 'RETRY']) {
        promise(`${announced} announces an attempt: it applies over earlier attempts alone`, async () => {
          for (const state of ['PENDING', 'RETRY', 'RECEIVED', 'STARTED', 'PROGRESS', 'MINE']) {
            const id = newId();
            const results = await commit(
              backend,
              recordWrite({ id, state, attempt: 1 }),
              recordWrite({ id, state: announced, attempt: 0 }),
              recordWrite({ id, state: announced, attempt: 1 }),
              recordWrite({ id, state: announced, attempt: 2 }),
              recordWrite({ id, state: announced, attempt: 2 }),
              recordWrite({ id, state: 'STARTED', attempt: 1 }),
              recordWrite({ id, state: 'STARTED', attempt: 2 }),
            );
            expect([state, ...results]).toEqual([
              state,
              'applied',
              'superseded',
              'superseded',
              'applied',
              'superseded',
              'superseded',
              'applied',
            ]);
          }
        });
      }

      promise('of several writes of one id in a call, the first that applies wins', async () => {
        const [twice, steps, other] = [newId(), newId(), newId()];
        const results = await commit(
          backend,
          recordWrite({ id: twice, resultJson: '1' }),
          recordWrite({ id: steps, state: 'STARTED' }),
          recordWrite({ id: other }),
          recordWrite({ id: twice, resultJson: '2' }),
          recordWrite({ id: steps, state: 'SUCCESS', resultJson: '3' }),
          recordWrite({ id: twice, resultJson: '4' }),
        );
        expect(results).toEqual(['applied', 'applied', 'applied', 'superseded', 'applied', 'superseded']);
        expect(await only(backend, twice)).toMatchObject({ result: 1 });
        expect(await only(backend, steps)).toMatchObject({ state: 'SUCCESS', result: 3 });
      });

      promise('of an unstorable write and a good one of one id, the good one applies', async () => {
        const id = newId();
        const results = await commit(
          backend,
          recordWrite({ id, resultJson: NUL }),
          recordWrite({ id, resultJson: '2' }),
        );
        expect(results.map(codeOf)).toEqual(['LOVAGE_RESULT_NOT_STORABLE', 'applied']);
        expect(await only(backend, id)).toMatchObject({ result: 2 });
      });

      const unstorable: Readonly<Record<string, Partial<RecordWrite>>> = {
        'a NUL in the result': { resultJson: NUL },
        'a NUL in the arguments': { argsJson: `[${NUL}]` },
        'a lone surrogate': { resultJson: '{"deep":["\\ud800"]}' },
      };
      for (const [what, bad] of Object.entries(unstorable)) {
        promise(`${what} harms none of 255 neighbours`, async () => {
          const writes = Array.from({ length: 256 }, (_, index) =>
            recordWrite(index === 100 ? bad : { resultJson: String(index) }),
          );
          const results = await backend.commit(writes.map((record) => completion(record)));
          expect(results.map(codeOf)).toEqual(
            writes.map((_, index) => (index === 100 ? 'LOVAGE_RESULT_NOT_STORABLE' : 'applied')),
          );
          expect(await backend.find({ ids: writes.map(({ id }) => id) })).toHaveLength(255);
        });
      }

      promise('several unstorable rows end alone', async () => {
        const writes = Array.from({ length: 64 }, (_, index) =>
          recordWrite(index % 9 === 0 ? { resultJson: NUL } : {}),
        );
        const results = await backend.commit(writes.map((record) => completion(record)));
        expect(results.map(codeOf)).toEqual(
          writes.map((_, index) => (index % 9 === 0 ? 'LOVAGE_RESULT_NOT_STORABLE' : 'applied')),
        );
      });

      promise('racing copies of the same tasks: one applies, whatever the order', async () => {
        const ids = Array.from({ length: 300 }, newId);
        const copies = ['"a"', '"b"', '"c"', '"d"'].map((resultJson, index) => {
          const writes = ids.map((id) => recordWrite({ id, resultJson }));
          return (index % 2 === 0 ? backend : peer).commit(
            (index % 2 === 0 ? writes : writes.reverse()).map((record) => completion(record)),
          );
        });
        const results = await Promise.all(copies);
        expect(results.flat().filter((result) => result === 'applied')).toHaveLength(300);
        expect(results.flat().filter((result) => result === 'superseded')).toHaveLength(900);
      });

      promise('takes ids of 255 characters of any kind', async () => {
        const id = `${newId()} "\\{},'${'é'.repeat(255)}`.slice(0, 255);
        expect(await commit(backend, recordWrite({ id }))).toEqual(['applied']);
        expect(await only(backend, id)).toMatchObject({ id, state: 'SUCCESS' });
        expect(await waitFor(peer, id)).toMatchObject({ id });
      });
    });

    describe('states', () => {
      promise('tells how far tasks have come, and nothing of ids without a record', async () => {
        const [started, ended] = [recordWrite({ state: 'STARTED', attempt: 2 }), recordWrite({ state: 'SUCCESS' })];
        await backend.commit([started, ended].map((record) => completion(record)));
        expect(await peer.states([started.id, ended.id, newId(), '\0'])).toEqual(
          new Map([
            [started.id, { state: 'STARTED', attempt: 2 }],
            [ended.id, { state: 'SUCCESS', attempt: ended.attempt }],
          ]),
        );
        expect(await backend.states([])).toEqual(new Map());
      });
    });

    describe('find', () => {
      promise('filters by everything that is given, newest first', async () => {
        const [a, b] = [`find.a.${newId()}`, `find.b.${newId()}`];
        const first = recordWrite({ task: a, state: 'FAILURE' });
        const second = recordWrite({ task: b });
        const third = recordWrite({ task: a });
        for (const write of [first, second, third]) {
          await commit(backend, write);
          await clockMoves(backend);
        }
        const ids = async (filter: Parameters<ResultBackend['find']>[0]): Promise<string[]> =>
          (await peer.find(filter)).map(({ id }) => id);
        expect(await ids({ task: a })).toEqual([third.id, first.id]);
        expect(await ids({ task: a, state: 'FAILURE' })).toEqual([first.id]);
        expect(await ids({ task: b, state: 'FAILURE' })).toEqual([]);
        expect(await ids({ task: a, limit: 1 })).toEqual([third.id]);
        expect(await ids({ task: a, limit: 0 })).toEqual([]);
        expect(await ids({ ids: [first.id, newId(), second.id, second.id] })).toEqual([second.id, first.id]);
        expect(await ids({ ids: [first.id, second.id], task: b })).toEqual([second.id]);
        expect(await ids({ ids: [] })).toEqual([]);
        const { createdAt } = await only(backend, second.id);
        expect(await ids({ task: a, since: createdAt })).toEqual([third.id]);
        expect(await ids({ ids: [first.id, second.id], since: createdAt })).toEqual([second.id]);
      });

      promise('gives 100 at most, but all of the ids asked for', async () => {
        const writes = Array.from({ length: 150 }, () => recordWrite());
        await backend.commit(writes.map((record) => completion(record)));
        expect(await backend.find({})).toHaveLength(100);
        expect(await backend.find({ limit: 120 })).toHaveLength(120);
        expect(await backend.find({ ids: writes.map(({ id }) => id) })).toHaveLength(150);
      });

      promise('finds nothing for an id that no row can have', async () => {
        expect(await backend.find({ ids: ['\0', '\ud800'] })).toEqual([]);
      });
    });

    describe('waitFor', () => {
      promise('resolves at once for a record that is final', async () => {
        const write = recordWrite({ resultJson: '42' });
        await commit(backend, write);
        expect(await waitFor(peer, write.id)).toMatchObject({ id: write.id, state: 'SUCCESS', result: 42 });
      });

      promise('resolves once another process commits the end, woken or not', async () => {
        const [woken, silent] = [recordWrite(), recordWrite({ state: 'FAILURE' })];
        const waits = Promise.all([
          waitFor(backend, woken.id),
          waitFor(backend, silent.id),
          waitFor(backend, woken.id),
        ]);
        await commit(peer, recordWrite({ id: silent.id, state: 'STARTED' }));
        await peer.commit([completion(woken, { replyTo: backend.replyChannel }), completion(silent)]);
        expect((await waits).map(({ id, state }) => [id, state])).toEqual([
          [woken.id, 'SUCCESS'],
          [silent.id, 'FAILURE'],
          [woken.id, 'SUCCESS'],
        ]);
      });

      promise('many waits end, each with its own record', async () => {
        const writes = Array.from({ length: 600 }, (_, index) => recordWrite({ resultJson: String(index) }));
        const waits = Promise.all(writes.map(({ id }) => waitFor(backend, id)));
        await peer.commit(writes.map((record) => completion(record, { replyTo: backend.replyChannel })));
        expect((await waits).map(({ result }) => result)).toEqual(writes.map((_, index) => index));
      });

      promise("rejects with the signal's reason, before and while waiting, and leaves other waits alone", async () => {
        const id = newId();
        const reason = new RangeError('enough');
        await expect(backend.waitFor(id, AbortSignal.abort(reason))).rejects.toBe(reason);
        const abort = new AbortController();
        const [aborted, other] = [backend.waitFor(id, abort.signal), waitFor(backend, id)];
        abort.abort(reason);
        await expect(aborted).rejects.toBe(reason);
        await commit(peer, recordWrite({ id }));
        expect(await other).toMatchObject({ id });
      });

      promise('ends with LOVAGE_STOPPED when the backend stops, and after', async () => {
        const wait = backend.waitFor(newId(), NEVER);
        const ended = wait.then(String, codeOf);
        await backend.stop();
        expect(await ended).toBe('LOVAGE_STOPPED');
        await expect(backend.waitFor(newId(), NEVER)).rejects.toMatchObject({ code: 'LOVAGE_STOPPED' });
      });

      promise('a wake for a foreign channel harms nothing', async () => {
        const record = recordWrite();
        expect(await backend.commit([completion(record, { replyTo: '7b0c3f0e-celery-rpc-queue' })])).toEqual([
          'applied',
        ]);
        expect(await waitFor(peer, record.id)).toMatchObject({ id: record.id });
      });
    });

    describe('forget', () => {
      promise('deletes what is named, whatever its state, and counts it', async () => {
        const [ended, running, kept] = [recordWrite(), recordWrite({ state: 'STARTED' }), recordWrite()];
        await commit(backend, ended, running, kept);
        expect(await backend.forget([ended.id, running.id, newId(), '\0'])).toBe(2);
        expect(await backend.forget([ended.id])).toBe(0);
        expect(await backend.forget([])).toBe(0);
        expect((await backend.find({ ids: [ended.id, running.id, kept.id] })).map(({ id }) => id)).toEqual([kept.id]);
        expect(await commit(backend, ended)).toEqual(['applied']);
      });
    });

    describe('expire', () => {
      promise('keeps what is younger than results.expires', async () => {
        const write = recordWrite();
        await commit(backend, write);
        expect(await backend.expire(10)).toBe(0);
        expect(await only(backend, write.id)).toMatchObject({ id: write.id });
      });

      promise('deletes final records past results.expires, at most the limit at once', async () => {
        await close();
        await open(1);
        const running = recordWrite({ state: 'STARTED' });
        const ended = Array.from({ length: 5 }, () => recordWrite());
        await commit(backend, running, ...ended);
        await clockMoves(backend);
        await clockMoves(backend);
        expect(await backend.expire(3)).toBe(3);
        expect(await peer.expire(3)).toBe(2);
        expect(await backend.expire(3)).toBe(0);
        expect((await backend.find({ ids: [running, ...ended].map(({ id }) => id) })).map(({ id }) => id)).toEqual([
          running.id,
        ]);
      });
    });

    describe('outbox', () => {
      const { noOutbox } = options;
      if (noOutbox !== undefined)
        promise('is not there', async () => expect(backend.capabilities.outbox).toBeUndefined());
      describeOutbox(
        () => ({ backend, peer, expireLeases }),
        (title, test) => (noOutbox === undefined ? promise(title, test) : it.skip(`${title} (${noOutbox})`, test)),
      );
    });

    describe('revocations', () => {
      const { noOutbox, noRevocations } = options;
      if (noRevocations !== undefined)
        promise('are not kept', async () => expect(backend.capabilities.revocations).toBeUndefined());
      const reason = noRevocations ?? noOutbox;
      describeRevocations(
        () => ({ backend, peer, expireLeases }),
        (title, test) => (reason === undefined ? promise(title, test) : it.skip(`${title} (${reason})`, test)),
      );
    });

    describe('starts', () => {
      const { noStarts } = options;
      if (noStarts !== undefined)
        promise('is not there', async () => expect(backend.capabilities.starts).toBeUndefined());
      const reopen = async (expiresMs: number): Promise<void> => {
        await close();
        await open(expiresMs);
      };
      describeStarts(
        () => ({ backend, peer, reopen }),
        (title, test) => (noStarts === undefined ? promise(title, test) : it.skip(`${title} (${noStarts})`, test)),
      );
    });

    describe('life', () => {
      promise('stops twice, and before a start', async () => {
        await backend.stop();
        await backend.stop();
        await close();
        fixture = await factory({ expiresMs: WEEK_MS });
        await fixture.backend.stop();
      });

      promise('has no reply channel before the first wait', async () => {
        expect(backend.replyChannel).toBeNull();
      });
    });

    it('has no stale entry in its skip list', () => {
      expect([...skip.keys()]).toEqual([]);
    });
  });
}
