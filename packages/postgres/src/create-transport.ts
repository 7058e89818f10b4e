import type { BrokerSettings, DriverContext, Transport } from '@lovage/core';
import { PostgresTransport } from './queue/postgres-transport.js';

/** The transport of `postgres:` and `postgresql:` URLs. Creating does no I/O. Throws LOVAGE_CONFIG for more than one URL. */
export function createTransport(settings: BrokerSettings, context: DriverContext): Transport {
  return new PostgresTransport(settings, context);
}
