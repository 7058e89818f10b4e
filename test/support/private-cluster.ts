import { type Rabbit, startCluster } from '../../scripts/services/rabbitmq.js';
import { requireRabbit } from '../../scripts/services/start-services.js';

/** RabbitMQ nodes of this test's own that are one cluster: see `startCluster`, which says how to stop them. */
export function privateCluster(nodes: number): Promise<readonly Rabbit[]> {
  return startCluster({ bin: requireRabbit(), nodes });
}

/** The node that leads this quorum queue, as one that lives tells. */
export async function leaderOf(queue: string, nodes: readonly Rabbit[]): Promise<Rabbit> {
  const list = await nodes[0]?.ctl('list_queues', '--quiet', '--no-table-headers', 'name', 'leader');
  const line = list?.split('\n').find((text) => text.startsWith(`${queue}\t`));
  const leader = nodes.find(({ name }) => line?.includes(name));
  if (leader === undefined) throw new TypeError(`expected a leader of ${queue} among the nodes, got:\n${list}`);
  return leader;
}
