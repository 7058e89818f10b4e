import type { Case } from '../runner/case.js';
import { bar } from './bar.js';
import { cost } from './cost.js';
import { footprint } from './footprint.js';
import { growth } from './growth.js';
import { latency } from './latency.js';
import { outbox } from './outbox.js';
import { peers } from './peers.js';
import { postgres } from './postgres.js';
import { prefetch } from './prefetch.js';
import { throughput } from './throughput.js';

export const CASES: readonly Case[] = [
  throughput,
  cost,
  latency,
  footprint,
  growth,
  outbox,
  postgres,
  prefetch,
  peers,
  bar,
];
