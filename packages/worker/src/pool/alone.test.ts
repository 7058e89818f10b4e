import { Lovage } from '@lovage/core';
import { requestOf } from '../../test/rig.js';
import type { Execution } from '../execution.js';
import { Alone } from './alone.js';
import { AsyncPool } from './async-pool.js';
import { Pools } from './pools.js';

const executionOf = (id: string): Execution =>
  ({ request: requestOf('x', { id }), definition: null, starts: 2 }) as Partial<Execution> as Execution;

it('has others go on while what runs does not end, and has its turn once it has', async () => {
  const begun: string[] = [];
  let tell: () => void = () => undefined;
  const pools = new Pools({
    pools: [new AsyncPool(2)],
    defaultPool: 'async',
    begin: ({ request }) => {
      begun.push(request.id);
      tell();
    },
  });
  const beginning = async (id: string): Promise<void> => {
    while (!begun.includes(id)) await new Promise<void>((resolve) => (tell = resolve));
  };
  const alone = new Alone({ pools, events: new Lovage().events, patienceMs: 20 });
  const [long, suspect, other] = ['long', 'suspect', 'other'].map(executionOf) as [Execution, Execution, Execution];
  pools.push(long);
  alone.push(suspect);
  pools.push(other);
  expect(begun).toEqual(['long']);
  await beginning('other');
  pools.release(other);
  pools.release(long);
  await beginning('suspect');
  pools.push(other);
  expect(begun).toEqual(['long', 'other', 'suspect']);
  pools.release(suspect);
  await pools.idle();
  while (begun.length < 4) await new Promise(setImmediate);
});
