import { LovageError, expected } from '@lovage/core';
import type { Argv } from 'yargs';
import type { HealthAddress } from './health-server.js';

/** `--health-port` and `--health-host`. */
export function healthOptions<T>(parser: Argv<T>) {
  return parser.options({
    'health-port': { type: 'string', requiresArg: true, describe: 'Serve /livez and /readyz on this port' },
    'health-host': {
      type: 'string',
      requiresArg: true,
      describe: 'On this address only, such as 127.0.0.1; else on all, as a Kubernetes probe needs',
    },
  });
}

export interface HealthFlags {
  readonly healthPort: string | undefined;
  readonly healthHost: string | undefined;
}

/** null: no health is served. LOVAGE_USAGE for a port that cannot be. */
export function healthAddressOf({ healthPort, healthHost }: HealthFlags): HealthAddress | null {
  if (healthPort !== undefined) return { port: portOf(healthPort), host: healthHost ?? null };
  if (healthHost === undefined) return null;
  throw new LovageError('LOVAGE_USAGE', 'expected --health-port beside --health-host');
}

function portOf(text: string): number {
  if (/^\d{1,5}$/.test(text) && Number(text) <= 65_535) return Number(text);
  throw new LovageError('LOVAGE_USAGE', expected('--health-port', 'an integer from 0 to 65535', text));
}
