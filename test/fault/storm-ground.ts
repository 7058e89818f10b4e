import { type IsolatedResults, isolatedResults } from '../support/isolated-results.js';
import { type Rabbit, privateBroker } from '../support/private-broker.js';
import { type Postgres, privateResults } from '../support/private-results.js';
import { TcpProxy } from '../support/tcp-proxy.js';
import { Scene } from './scene.js';

/** Servers of its own, to be struck; only the ledger is kept where nothing happens to it. */
export class StormGround {
  readonly broker: Rabbit;
  readonly results: Postgres;
  readonly links: { readonly broker: TcpProxy; readonly results: TcpProxy };
  readonly ledger: IsolatedResults;
  #runs = 0;

  private constructor(parts: Pick<StormGround, 'broker' | 'results' | 'links' | 'ledger'>) {
    this.broker = parts.broker;
    this.results = parts.results;
    this.links = parts.links;
    this.ledger = parts.ledger;
  }

  static async open(): Promise<StormGround> {
    const [broker, results, ledger] = await Promise.all([privateBroker(), privateResults(), isolatedResults()]);
    const links = { broker: await TcpProxy.start(broker.url), results: await TcpProxy.start(results.url) };
    return new StormGround({ broker, results, links, ledger });
  }

  async scene(): Promise<Scene> {
    const name = `storm_${++this.#runs}`;
    const place = { broker: this.broker.url, results: this.results.url, schema: name, queue: name };
    return await Scene.open(place, this.ledger.url);
  }

  async close(): Promise<void> {
    const { broker, results, links, ledger } = this;
    await Promise.all([links.broker.stop(), links.results.stop()]);
    await Promise.all([broker.stop(), results.stop(), ledger.drop()]);
  }
}
