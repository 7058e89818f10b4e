import { type Rabbit, startRabbit } from '../../scripts/services/rabbitmq.js';
import { requireRabbit } from '../../scripts/services/start-services.js';

/**
 * RabbitMQ nodes of this test's own that are one cluster; three are ready after about twenty seconds and take 1.2 GB. The caller must `stop()` each,
 * the first one last. Quorum queues that are declared now have a member on each of up to five.
 */
export async function privateCluster(size: number): Promise<readonly Rabbit[]> {
  const bin = requireRabbit();
  const first = await startRabbit({ bin });
  const others: Rabbit[] = [];
  try {
    for (let count = 1; count < size; count++) {
      const node = await startRabbit({ bin, neighbour: first });
      others.push(node);
      await node.ctl('stop_app');
      await node.ctl('join_cluster', first.name);
      await node.ctl('start_app');
    }
  } catch (error) {
    await Promise.all(others.map((node) => node.stop()));
    await first.stop();
    throw error;
  }
  return [first, ...others];
}

/** The node that leads this quorum queue, as one that lives tells. */
export async function leaderOf(queue: string, nodes: readonly Rabbit[]): Promise<Rabbit> {
  const list = await nodes[0]?.ctl('list_queues', '--quiet', '--no-table-headers', 'name', 'leader');
  const line = list?.split('\n').find((text) => text.startsWith(`${queue}\t`));
  const leader = nodes.find(({ name }) => line?.includes(name));
  if (leader === undefined) throw new TypeError(`expected a leader of ${queue} among the nodes, got:\n${list}`);
  return leader;
}
