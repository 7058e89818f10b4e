import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import amqp from 'amqplib';
import pg from 'pg';

/** Where the figures were taken. */
export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGb: number;
  readonly system: string;
  readonly date: string;
  /** Names of programmes and packages, and their versions. */
  readonly versions: Readonly<Record<string, string>>;
}

const PACKAGES = ['lovage', 'amqplib', 'pg', 'bullmq', 'graphile-worker', 'pg-boss'];

export interface MachineOptions {
  readonly broker: string;
  readonly results: string;
  /** Versions that only this run knows. */
  readonly peers: Readonly<Record<string, string>>;
}

export async function describeMachine({ broker, results, peers }: MachineOptions): Promise<Machine> {
  const packages = PACKAGES.map((name) => [name, versionOf(name)] as const);
  return {
    cpu: os.cpus()[0]?.model.trim() ?? 'unknown',
    cores: os.cpus().length,
    memoryGb: Math.round(os.totalmem() / 2 ** 30),
    system: `${os.type()} ${os.release()}`,
    date: new Date().toISOString().slice(0, 10),
    versions: {
      Node: process.versions.node,
      RabbitMQ: await rabbitVersion(broker),
      PostgreSQL: await postgresVersion(results),
      ...Object.fromEntries(packages),
      ...peers,
    },
  };
}

function versionOf(name: string): string {
  // Not every package lets its package.json be imported.
  const folders = createRequire(import.meta.url).resolve.paths(name) ?? [];
  const file = folders.map((folder) => path.join(folder, name, 'package.json')).find(existsSync);
  if (file === undefined) return 'unknown';
  return (JSON.parse(readFileSync(file, 'utf8')) as { readonly version: string }).version;
}

async function rabbitVersion(url: string): Promise<string> {
  if (!/^amqps?:/.test(url)) return 'none';
  const connection = await amqp.connect(url);
  const { version } = connection.connection.serverProperties as { readonly version?: string };
  await connection.close();
  return version ?? 'unknown';
}

async function postgresVersion(url: string): Promise<string> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const { rows } = await client.query<{ server_version: string }>('show server_version');
  await client.end();
  return rows[0]?.server_version ?? 'unknown';
}
