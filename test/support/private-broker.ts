import { type Rabbit, startRabbit } from '../../scripts/services/rabbitmq.js';
import { requireRabbit } from '../../scripts/services/start-services.js';

export type { Rabbit };

export interface PrivateBrokerOptions {
  /** Further lines of rabbitmq.conf. */
  readonly config?: readonly string[];
}

/**
 * A RabbitMQ node of this test's own, to be killed and started again without harming other tests; ready after about ten seconds.
 * Needs rabbitmq-server on this machine, Docker is not enough. The caller must `stop()` it.
 */
export async function privateBroker(options: PrivateBrokerOptions = {}): Promise<Rabbit> {
  return startRabbit({ bin: requireRabbit(), ...options });
}
