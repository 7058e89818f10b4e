import type pg from 'pg';
import type { CeleryPeer } from '../../test/interop/celery-peer.js';

/** What a case stands on: servers, and a database of its own. */
export interface Ground {
  /** amqp://… */
  readonly broker: string;
  /** postgres://… of the case's own database. */
  readonly results: string;
  readonly database: pg.Client;
  /** Says in the report what could not be measured, and why. */
  skip(reason: string): void;
  /** A Redis of this run, started when first asked for; null, and skipped, where there is none. */
  redis(): Promise<string | null>;
  /** Celery on this machine; null, and skipped, where it or what it needs for results is missing. */
  celery(): CeleryPeer | null;
}
