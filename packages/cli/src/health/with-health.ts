import type { Logger } from '../run-service.js';
import { HealthServer, type Health, type HealthAddress } from './health-server.js';

export interface HealthService extends Health {
  /** null: health is not served. */
  readonly address: HealthAddress | null;
  readonly logger: Logger;
}

/** Serves health, where it was asked for, while `work` goes on. */
export async function withHealth<T>({ address, logger, ...health }: HealthService, work: () => Promise<T>): Promise<T> {
  if (address === null) return work();
  const server = await HealthServer.start(health, address);
  const { port } = server;
  logger.info(`Serving /livez and /readyz on port ${port}`, { event: 'health:serving', port });
  try {
    return await work();
  } finally {
    await server.stop();
  }
}
