import { setTimeout as pause } from 'node:timers/promises';
import { eventually } from '../support/eventually.js';
import type { Postgres } from '../support/private-results.js';
import type { Rabbit } from '../support/private-broker.js';
import type { TcpProxy } from '../support/tcp-proxy.js';
import type { Crew } from './crew.js';
import type { Load } from './load.js';
import type { Random } from './random.js';
import type { Scene } from './scene.js';

/** All that can be struck. */
export interface Theatre {
  readonly crew: Crew;
  readonly load: Load;
  readonly scene: Scene;
  readonly broker: Rabbit;
  readonly results: Postgres;
  /** Workers and callers reach the servers through these. */
  readonly links: { readonly broker: TcpProxy; readonly results: TcpProxy };
  /** Resolves when all that was called has ended, and nothing waits or is held anywhere. */
  readonly drained: () => Promise<void>;
  readonly random: Random;
  /** How long what lasts is to last, in milliseconds. */
  readonly lastsMs: number;
}

/** Does one thing to the theatre, from its beginning to its end. */
type Disturbance = (theatre: Theatre) => Promise<void>;

const KILL_EVERY_MS = 1_000;
/** Tasks that run while their queue is deleted. */
const RUNNING = 10;

export const DISTURBANCES = {
  'workers killed': async ({ crew, random, lastsMs }) => {
    for (let left = Math.ceil(lastsMs / KILL_EVERY_MS); left > 0; left--) {
      await crew.killOne(random);
      if (left > 1) await pause(KILL_EVERY_MS);
    }
  },
  'broker restarted': async ({ broker }) => {
    await broker.kill();
    await broker.start();
  },
  'database restarted': async ({ results, lastsMs }) => {
    await results.kill();
    await pause(lastsMs);
    await results.start();
  },
  'broker link cut': ({ links, lastsMs }) => cut(links.broker, lastsMs),
  'database link cut': ({ links, lastsMs }) => cut(links.results, lastsMs),
  'broker link stalled': ({ links, lastsMs }) => stall(links.broker, lastsMs),
  'database link stalled': ({ links, lastsMs }) => stall(links.results, lastsMs),
  'both links slow': async ({ links, random, lastsMs }) => {
    for (const link of Object.values(links)) link.slow(20 + random.below(100));
    await pause(lastsMs);
    for (const link of Object.values(links)) link.slow(0);
  },
  'memory alarm': async ({ broker, lastsMs }) => {
    await broker.ctl('set_vm_memory_high_watermark', '0.000001');
    await pause(lastsMs);
    await broker.ctl('set_vm_memory_high_watermark', '0.4');
  },
  'disk full': async ({ scene, lastsMs }) => {
    await scene.fillDisk(true);
    await pause(lastsMs);
    await scene.fillDisk(false);
  },
  // Whoever deletes a queue deletes what waits in it: here nothing does. What runs is to come to its end all the same.
  'queue deleted': async ({ broker, crew, load, scene, drained }) => {
    await load.pause();
    await drained();
    await load.callSlow(RUNNING);
    await eventually(async () => {
      const running = (await crew.numbers()).reduce((sum, numbers) => sum + numbers.running, 0);
      if (running < RUNNING) throw new Error(`${running} tasks run`);
    });
    await broker.ctl('delete_queue', scene.place.queue);
    load.begin();
  },
} as const satisfies Record<string, Disturbance>;

export type DisturbanceName = keyof typeof DISTURBANCES;

export const ALL_DISTURBANCES = Object.keys(DISTURBANCES) as readonly DisturbanceName[];

async function cut(link: TcpProxy, lastsMs: number): Promise<void> {
  await link.refuse();
  await pause(lastsMs);
  await link.accept();
}

async function stall(link: TcpProxy, lastsMs: number): Promise<void> {
  link.stall();
  await pause(lastsMs);
  link.resume();
}
