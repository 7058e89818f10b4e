import type { EventSink } from '../events/events.js';
import type { ResultBackend } from '../results/result-backend.js';
import type { Runtime } from '../runtime/runtime.js';
import type { Transport } from '../transport/transport.js';
import type { BrokerSettings, ResultsSettings } from './settings.js';

/** What an app gives a driver. */
export interface DriverContext {
  /** The app's name: what the server shows of the connection. */
  readonly name: string;
  readonly events: EventSink;
  readonly runtime: Runtime;
}

/** What a package must export to be the transport of a URL scheme. Creating does no I/O. */
export interface TransportDriver {
  createTransport(settings: BrokerSettings, context: DriverContext): Transport;
}

/** What a package must export to be the result backend of a URL scheme. Creating does no I/O. */
export interface ResultBackendDriver {
  createResultBackend(settings: ResultsSettings, context: DriverContext): ResultBackend;
}
