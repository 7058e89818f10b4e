import { stopCluster } from '../../scripts/services/rabbitmq.js';
import { type IsolatedResults, isolatedResults } from '../support/isolated-results.js';
import { type Rabbit, privateBroker } from '../support/private-broker.js';
import { privateCluster } from '../support/private-cluster.js';
import { type Postgres, privateResults } from '../support/private-results.js';
import { TcpProxy } from '../support/tcp-proxy.js';
import { Scene } from './scene.js';

/** A server, and the link by which workers and callers reach it. */
export interface Linked<Server> {
  readonly server: Server;
  readonly link: TcpProxy;
}

/** Servers of its own, to be struck; only the ledger is kept where nothing happens to it. */
export class StormGround {
  /** The nodes of the broker: one, or those of a cluster. */
  readonly nodes: readonly Linked<Rabbit>[];
  readonly results: Linked<Postgres>;
  readonly ledger: IsolatedResults;
  #runs = 0;

  private constructor({ nodes, results, ledger }: Pick<StormGround, 'nodes' | 'results' | 'ledger'>) {
    this.nodes = nodes;
    this.results = results;
    this.ledger = ledger;
  }

  static async open({ nodes: count }: { readonly nodes: number }): Promise<StormGround> {
    const [brokers, postgres, ledger] = await Promise.all([
      count === 1 ? privateBroker().then((broker) => [broker]) : privateCluster(count),
      privateResults(),
      isolatedResults(),
    ]);
    const nodes = await Promise.all(brokers.map(linked));
    return new StormGround({ nodes, results: await linked(postgres), ledger });
  }

  async scene(): Promise<Scene> {
    const name = `storm_${++this.#runs}`;
    const broker = this.nodes.map(({ server }) => server.url);
    const place = { broker, results: this.results.server.url, schema: name, queue: name };
    return await Scene.open(place, this.ledger.url);
  }

  async close(): Promise<void> {
    const { nodes, results, ledger } = this;
    await Promise.all([...nodes, results].map(({ link }) => link.stop()));
    await Promise.all([stopCluster(nodes.map(({ server }) => server)), results.server.stop(), ledger.drop()]);
  }
}

async function linked<Server extends { readonly url: string }>(server: Server): Promise<Linked<Server>> {
  return { server, link: await TcpProxy.start(server.url) };
}
