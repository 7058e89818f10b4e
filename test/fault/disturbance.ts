import { setTimeout as pause } from 'node:timers/promises';
import { eventually } from '../support/eventually.js';
import { leaderOf } from '../support/private-cluster.js';
import type { TcpProxy } from '../support/tcp-proxy.js';
import type { Crew } from './crew.js';
import type { Load } from './load.js';
import type { Random } from './random.js';
import type { Scene } from './scene.js';
import type { StormGround } from './storm-ground.js';

/** All that can be struck. */
export interface Theatre {
  readonly ground: StormGround;
  readonly crew: Crew;
  readonly load: Load;
  readonly scene: Scene;
  /** Resolves when all that was called has ended, and nothing waits or is held anywhere. */
  readonly drained: () => Promise<void>;
  readonly random: Random;
  /** How long what lasts is to last, in milliseconds. */
  readonly lastsMs: number;
}

/** Puts back what a disturbance has changed for good. */
type Mend = () => Promise<void>;

/** Does one thing to the theatre, from its beginning to its end; or to where workers are to be well again though it goes on, and then what is given is called once they are. */
type Disturbance = (theatre: Theatre) => Promise<Mend | void>;

const KILL_EVERY_MS = 1_000;
/** Tasks that run while their queue is deleted. */
const RUNNING = 10;

const ONE_NODE = {
  'workers killed': async ({ crew, random, lastsMs }) => {
    for (let left = Math.ceil(lastsMs / KILL_EVERY_MS); left > 0; left--) {
      await crew.killOne(random);
      if (left > 1) await pause(KILL_EVERY_MS);
    }
  },
  'broker restarted': async ({ ground }) => {
    for (const { server } of ground.nodes) {
      await server.kill();
      await server.start();
    }
  },
  'database restarted': async ({ ground, lastsMs }) => {
    const { server } = ground.results;
    await server.kill();
    await pause(lastsMs);
    await server.start();
  },
  'broker link cut': ({ ground, lastsMs }) => cut(brokerLinks(ground), lastsMs),
  'database link cut': ({ ground, lastsMs }) => cut([ground.results.link], lastsMs),
  'broker link stalled': ({ ground, lastsMs }) => stall(brokerLinks(ground), lastsMs),
  'database link stalled': ({ ground, lastsMs }) => stall([ground.results.link], lastsMs),
  'both links slow': async ({ ground, random, lastsMs }) => {
    const links = [...brokerLinks(ground), ground.results.link];
    for (const link of links) link.slow(20 + random.below(100));
    await pause(lastsMs);
    for (const link of links) link.slow(0);
  },
  'memory alarm': async ({ ground, lastsMs }) => {
    for (const { server } of ground.nodes) await server.ctl('set_vm_memory_high_watermark', '0.000001');
    await pause(lastsMs);
    for (const { server } of ground.nodes) await server.ctl('set_vm_memory_high_watermark', '0.4');
  },
  'disk full': async ({ scene, lastsMs }) => {
    await scene.fillDisk(true);
    await pause(lastsMs);
    await scene.fillDisk(false);
  },
  // Whoever deletes a queue deletes what waits in it: here nothing does. What runs is to come to its end all the same.
  'queue deleted': async ({ ground, crew, load, scene, drained }) => {
    await load.pause();
    await drained();
    await load.callSlow(RUNNING);
    await eventually(async () => {
      const running = (await crew.numbers()).reduce((sum, numbers) => sum + numbers.running, 0);
      if (running < RUNNING) throw new Error(`${running} tasks run`);
    });
    await ground.nodes[0]?.server.ctl('delete_queue', scene.place.queue);
    load.begin();
  },
} as const satisfies Record<string, Disturbance>;

/** Of one node, while the others go on: from its beginning all is to be well again within the time. */
const CLUSTER = {
  'leader killed': async ({ ground, scene, random }) => {
    const nodes = ground.nodes.map(({ server }) => server);
    const leader = await leaderOf(scene.place.queue, random.shuffled(nodes));
    const killed = leader.kill();
    return async () => {
      await killed;
      await leader.start();
    };
  },
  'node cut off': async ({ ground, random }) => {
    const { link } = random.pick(ground.nodes);
    await link.refuse();
    return () => link.accept();
  },
  'node silent': async ({ ground, random }) => {
    const { link } = random.pick(ground.nodes);
    link.stall();
    return async () => link.resume();
  },
} as const satisfies Record<string, Disturbance>;

export const DISTURBANCES = { ...ONE_NODE, ...CLUSTER };

export type DisturbanceName = keyof typeof DISTURBANCES;

/** What happens to a broker of one node, and to all that is around it. */
export const OF_ONE_NODE = Object.keys(ONE_NODE) as readonly DisturbanceName[];

export const OF_A_CLUSTER: readonly DisturbanceName[] = [
  ...(Object.keys(CLUSTER) as (keyof typeof CLUSTER)[]),
  'workers killed',
];

function brokerLinks({ nodes }: StormGround): readonly TcpProxy[] {
  return nodes.map(({ link }) => link);
}

async function cut(links: readonly TcpProxy[], lastsMs: number): Promise<void> {
  await Promise.all(links.map((link) => link.refuse()));
  await pause(lastsMs);
  await Promise.all(links.map((link) => link.accept()));
}

async function stall(links: readonly TcpProxy[], lastsMs: number): Promise<void> {
  for (const link of links) link.stall();
  await pause(lastsMs);
  for (const link of links) link.resume();
}
