import { randomBytes } from 'node:crypto';
import { Client } from 'pg';
import { isolatedBroker } from '../../support/isolated-broker.js';
import { isolatedResults } from '../../support/isolated-results.js';
import { keepSecret } from '../../support/keep-secret.js';

/** A virtual host and a database, reached with passwords that occur nowhere else: to be looked for in all that is printed. */
export interface SecretServices {
  readonly broker: string;
  readonly results: string;
  readonly passwords: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  /** Throws if one of the passwords is in this text, as it is or encoded. */
  assertKept(text: string): void;
  drop(): Promise<void>;
}

export async function secretServices(): Promise<SecretServices> {
  const [vhost, database] = await Promise.all([isolatedBroker(), isolatedResults()]);
  const name = `secretive_${randomBytes(6).toString('hex')}`;
  const brokerPassword = `br/${randomBytes(9).toString('hex')}`;
  const resultsPassword = `db@${randomBytes(9).toString('hex')}`;
  const broker = withCredentials(vhost.url, name, brokerPassword);
  const results = withCredentials(database.url, name, resultsPassword);
  await manage(vhost.url, 'PUT', `users/${name}`, { password: brokerPassword, tags: '' });
  await manage(vhost.url, 'PUT', `permissions/${vhost.vhost}/${name}`, { configure: '.*', write: '.*', read: '.*' });
  await query(database.url, [
    `CREATE ROLE ${name} LOGIN PASSWORD '${resultsPassword}'`,
    `ALTER DATABASE ${database.database} OWNER TO ${name}`,
  ]);
  const passwords = [brokerPassword, resultsPassword];
  keepSecret(...passwords);
  return {
    broker,
    results,
    passwords,
    env: { LOVAGE_BROKER: broker, LOVAGE_RESULTS: results },
    assertKept: (text) => {
      for (const password of passwords) {
        expect(text).not.toContain(password);
        expect(text).not.toContain(encodeURIComponent(password));
      }
    },
    drop: async () => {
      await manage(vhost.url, 'DELETE', `users/${name}`);
      await vhost.drop();
      await database.drop();
      await query(process.env['LOVAGE_RESULTS'] ?? '', [`DROP ROLE ${name}`]);
    },
  };
}

function withCredentials(server: string, user: string, password: string): string {
  const url = new URL(server);
  url.username = user;
  url.password = encodeURIComponent(password);
  return url.href;
}

async function manage(server: string, method: 'PUT' | 'DELETE', path: string, body?: object): Promise<void> {
  const broker = new URL(server);
  const api = new URL(process.env['SERVICES_BROKER_API'] ?? `http://${broker.hostname}:15672`);
  const { username, password } = api.username === '' ? broker : api;
  const response = await fetch(`${api.origin}/api/${path}`, {
    method,
    headers: {
      authorization: `Basic ${Buffer.from(`${decodeURIComponent(username)}:${decodeURIComponent(password)}`).toString('base64')}`,
      'content-type': 'application/json',
    },
    ...(body && { body: JSON.stringify(body) }),
  });
  expect({ path, ok: response.ok }).toEqual({ path, ok: true });
}

async function query(url: string, statements: readonly string[]): Promise<void> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    for (const statement of statements) await client.query(statement);
  } finally {
    await client.end();
  }
}
