import type { DriverContext, ResultBackendDriver, TransportDriver } from '../config/driver.js';
import { brokerNotConfigured } from '../config/not-configured.js';
import type { BrokerSettings, ResultsSettings } from '../config/settings.js';
import { LovageError } from '../errors/lovage-error.js';
import { MemoryResultBackend } from '../results/memory-result-backend.js';
import type { ResultBackend } from '../results/result-backend.js';
import { maskUrl } from '../runtime/mask-url.js';
import { MemoryTransport } from '../transport/memory-transport.js';
import type { Transport } from '../transport/transport.js';
import { loadPackage } from './module-loader.js';

/** URL scheme → the package that speaks it; `memory` is built in. */
const TRANSPORTS: Readonly<Record<string, string>> = {
  amqp: '@lovage/amqp',
  amqps: '@lovage/amqp',
  postgres: '@lovage/postgres',
  postgresql: '@lovage/postgres',
};
const RESULT_BACKENDS: Readonly<Record<string, string>> = {
  postgres: '@lovage/postgres',
  postgresql: '@lovage/postgres',
};

/** The transport that the settings name; not started. */
export async function createTransport(settings: BrokerSettings, context: DriverContext): Promise<Transport> {
  if (settings.transport !== null) return settings.transport;
  const url = settings.urls[0];
  if (url === undefined) throw brokerNotConfigured();
  const scheme = schemeOf(url);
  if (scheme === 'memory') return new MemoryTransport(url);
  const driver = await loadDriver<TransportDriver>('broker', TRANSPORTS, url);
  return driver.createTransport(settings, context);
}

/** The result backend that the settings name; not started. */
export async function createResultBackend(settings: ResultsSettings, context: DriverContext): Promise<ResultBackend> {
  if (settings.backend !== null) return settings.backend;
  if (settings.pool === null && schemeOf(settings.url) === 'memory') {
    return new MemoryResultBackend({ url: settings.url, expiresMs: settings.expiresMs, runtime: context.runtime });
  }
  const driver = await loadDriver<ResultBackendDriver>(
    'results',
    RESULT_BACKENDS,
    settings.pool === null ? settings.url : 'postgres:',
  );
  return driver.createResultBackend(settings, context);
}

async function loadDriver<T>(key: string, table: Readonly<Record<string, string>>, url: string): Promise<T> {
  const name = table[schemeOf(url)];
  if (name === undefined) {
    const schemes = ['memory', ...Object.keys(table)].map((scheme) => `${scheme}:`).join(', ');
    throw new LovageError(
      'LOVAGE_DRIVER',
      `\`${key}\` is '${maskUrl(url)}': no driver speaks that scheme; known are ${schemes}`,
    );
  }
  return (await loadPackage(name)) as T;
}

function schemeOf(url: string): string {
  return /^([a-z][a-z0-9+.-]*):/i.exec(url)?.[1]?.toLowerCase() ?? '';
}
