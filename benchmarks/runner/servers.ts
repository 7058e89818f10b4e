import { execFileSync } from 'node:child_process';
import { type CeleryPeer, findCelery } from '../../test/interop/celery-peer.js';
import { aptInstall, canApt } from '../../scripts/services/apt.js';
import { findRedis, startRedis } from '../../scripts/services/redis.js';
import type { Servers } from './run-case.js';

export interface ServersOptions {
  readonly install: boolean;
  readonly skip: (reason: string) => void;
}

const REDIS = ['redis-server'];
const CELERY = ['python3-celery', 'python3-sqlalchemy', 'python3-psycopg2'];

/** The servers of one run: those of `npm run bench`, and those that peers need, which are started when first asked for. */
export async function withServers<T>(options: ServersOptions, work: (servers: Servers) => Promise<T>): Promise<T> {
  let redis: Promise<Awaited<ReturnType<typeof startRedis>> | null> | undefined;
  let celery: CeleryPeer | null | undefined;
  const versions: Record<string, string> = {};
  const servers: Servers = {
    broker: required('LOVAGE_BROKER'),
    results: required('LOVAGE_RESULTS'),
    skip: options.skip,
    redis: async () => {
      redis ??= startPrivateRedis(options);
      const server = await redis;
      if (server !== null) versions['Redis'] = server.version;
      return server?.url ?? null;
    },
    celery: () => {
      if (celery === undefined) celery = usableCelery(options);
      if (celery !== null) versions['Celery'] = celery.version;
      return celery;
    },
    versions: () => versions,
  };
  try {
    return await work(servers);
  } finally {
    await (await redis)?.stop();
  }
}

async function startPrivateRedis(options: ServersOptions) {
  const command = findRedis() ?? (installs(REDIS, options) ? findRedis() : undefined);
  if (command !== undefined) return await startRedis({ command });
  options.skip(`BullMQ: redis-server is not on this machine: ${howTo(REDIS)}`);
  return null;
}

function usableCelery(options: ServersOptions): CeleryPeer | null {
  const find = (): CeleryPeer | null => {
    const peer = findCelery();
    return peer !== null && imports(peer, 'sqlalchemy, psycopg2') ? peer : null;
  };
  const peer = find() ?? (installs(CELERY, options) ? find() : null);
  if (peer === null) options.skip(`Celery: ${CELERY.join(', ')} are not all on this machine: ${howTo(CELERY)}`);
  return peer;
}

function imports({ python }: CeleryPeer, modules: string): boolean {
  try {
    execFileSync(python, ['-c', `import ${modules}`], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** Whether the packages have been installed now. What cannot be is skipped: it is not what is measured. */
function installs(packages: readonly string[], { install, skip }: ServersOptions): boolean {
  if (!install || !canApt()) return false;
  try {
    aptInstall(packages);
    return true;
  } catch (error) {
    skip(`apt-get could not install ${packages.join(', ')}: ${(error as Error).message}`);
    return false;
  }
}

function howTo(packages: readonly string[]): string {
  return `as root on Debian or Ubuntu add --install, or \`sudo apt-get install ${packages.join(' ')}\``;
}

/** A variable that `npm run bench` sets. */
function required(name: 'LOVAGE_BROKER' | 'LOVAGE_RESULTS'): string {
  const value = process.env[name];
  if (value === undefined || value === '')
    throw new Error(`expected ${name} to be set: run this through \`npm run bench\``);
  return value;
}
