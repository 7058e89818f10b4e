import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { Client } from 'pg';
import { requireRabbit, startServices } from '../scripts/services/start-services.js';
import { eventually } from './support/eventually.js';
import { isolatedBroker } from './support/isolated-broker.js';
import { isolatedResults } from './support/isolated-results.js';
import { descendants, isAlive } from './support/process-tree.js';

const SCRIPT = path.resolve(__dirname, '../scripts/services.js');

/** Says which URLs it was given, then waits for a word on stdin and exits with that code. */
const COMMAND = [
  process.execPath,
  '-e',
  `console.log(JSON.stringify([process.env.LOVAGE_BROKER, process.env.LOVAGE_RESULTS]));
   process.stdin.once('data', (code) => process.exit(Number(code)));`,
];

/** `npm run services` as a machine without LOVAGE_BROKER and LOVAGE_RESULTS would see it. */
function runServices(command: readonly string[]): ChildProcess {
  const { LOVAGE_BROKER: _broker, LOVAGE_RESULTS: _results, SERVICES_BROKER_API: _api, ...env } = process.env;
  return spawn(process.execPath, [SCRIPT, ...command], { env, stdio: 'pipe' });
}

async function firstLine({ stdout, stderr }: ChildProcess): Promise<string> {
  let said = '';
  stderr?.on('data', (chunk: Buffer) => (said += chunk.toString()));
  for await (const chunk of stdout ?? []) return String(chunk);
  throw new Error(`expected a line on stdout, got none; stderr: ${said}`);
}

async function exitOf(child: ChildProcess): Promise<number | null> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  return child.exitCode;
}

describe('npm run services', () => {
  jest.setTimeout(120_000);

  it('gives the command both URLs, its exit code is the command’s, and no process is left', async () => {
    const script = runServices(COMMAND);
    const [broker, results] = JSON.parse(await firstLine(script)) as [string, string];
    expect(broker).toMatch(/^amqp:\/\/guest:[0-9a-f]{24}@127\.0\.0\.1:\d+$/);

    const client = new Client({ connectionString: results });
    await client.connect();
    expect((await client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
    await client.end();

    const started = descendants(script.pid!);
    expect(started.length).toBeGreaterThan(0);
    script.stdin!.end('7');
    expect(await exitOf(script)).toBe(7);
    await eventually(() => expect(started.filter(isAlive)).toEqual([]));
  });

  it('ends the command and the services on SIGTERM', async () => {
    const script = runServices(COMMAND);
    await firstLine(script);
    const started = descendants(script.pid!);
    script.kill('SIGTERM');
    expect(await exitOf(script)).toBe(143);
    await eventually(() => expect(started.filter(isAlive)).toEqual([]));
  });

  it('ends what it has started when the signal comes before the services are up', async () => {
    const script = runServices(COMMAND);
    const started = await eventually(
      () => {
        const found = descendants(script.pid!);
        expect(found.length).toBeGreaterThan(1);
        return found;
      },
      { timeoutMs: 20_000 },
    );
    script.kill('SIGINT');
    expect(await exitOf(script)).toBe(130);
    await eventually(() => expect(started.filter(isAlive)).toEqual([]));
  });

  it('uses LOVAGE_BROKER and LOVAGE_RESULTS when both are set', async () => {
    const env = { LOVAGE_BROKER: 'amqp://elsewhere', LOVAGE_RESULTS: 'postgres://elsewhere' };
    await expect(startServices({ env })).resolves.toMatchObject({
      brokerUrl: 'amqp://elsewhere',
      resultsUrl: 'postgres://elsewhere',
    });
  });

  it('says what to install where there is no RabbitMQ', () => {
    expect(() => requireRabbit({ folders: ['/nowhere'], install: false })).toThrow(
      /RabbitMQ was not found: expected a running Docker engine .* or rabbitmq-server .*apt-get install rabbitmq-server/,
    );
  });

  it.each(['0', '3.5', 'three'])('refuses to start %s nodes', async (SERVICES_NODES) => {
    await expect(startServices({ env: { SERVICES_NODES } })).rejects.toThrow(
      `expected SERVICES_NODES to be how many nodes RabbitMQ has, 1 to 9, got '${SERVICES_NODES}'`,
    );
  });

  it('asks for a command when there is none', async () => {
    const script = runServices([]);
    expect(await exitOf(script)).toBe(2);
  });
});

describe('isolated services', () => {
  it('are a virtual host and a database that are gone after drop()', async () => {
    const [broker, results] = [await isolatedBroker(), await isolatedResults()];
    expect(new URL(broker.url).pathname).toBe(`/${broker.vhost}`);
    const client = new Client({ connectionString: results.url });
    await client.connect();
    const { rows } = await client.query('SELECT current_database() AS database');
    expect(rows).toEqual([{ database: results.database }]);
    await client.end();
    await Promise.all([broker.drop(), results.drop()]);
    await expect(new Client({ connectionString: results.url }).connect()).rejects.toThrow(/does not exist/);
  });
});
