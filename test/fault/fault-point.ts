import type { Broker } from './assignment.js';

/** What a worker does for its tasks, step by step, and at which moments of each it may die. */
const STEPS = {
  /** Deliveries arrive. */
  deliver: ['before', 'after'],
  /** The records of suspicious copies are read. */
  'look-up': ['before', 'during', 'after'],
  /** The task's own code. */
  run: ['before', 'after'],
  /** A commit of completions that cause nothing. */
  commit: ['before', 'during', 'after'],
  /** A commit with follow-ups. */
  'commit-follow-up': ['before', 'during', 'after'],
  /** What a commit has caused is sent by its committer. */
  'publish-follow-up': ['before', 'during', 'after'],
  'remove-follow-up': ['before', 'during', 'after'],
  /** A relay leases what is due. */
  claim: ['before', 'during', 'after'],
  /** A relay sends what it has claimed. */
  'publish-relayed': ['before', 'during', 'after'],
  'remove-relayed': ['before', 'during', 'after'],
  ack: ['before', 'during', 'after'],
  /** Unique keys of scope 'queued' are freed. */
  release: ['before', 'during', 'after'],
  /** A task calls another one through the outbox. */
  enqueue: ['before', 'during', 'after'],
  'publish-call': ['before', 'during', 'after'],
  'remove-call': ['before', 'during', 'after'],
  /** Whatever is under way when it has lived for a moment. */
  life: ['during'],
} as const satisfies Record<string, readonly Moment[]>;

/** `during`: under way, and of what goes in parts, half of them. */
export type Moment = 'before' | 'during' | 'after';

export type Step = keyof typeof STEPS;

export type FaultPoint = `${Step}:${Moment}`;

const ALL = Object.keys(STEPS) as Step[];

/** In one schema nothing is relayed, and nothing is sent but by its commit. What a transport asks of the database by itself is struck at any moment. */
const REACHED: Readonly<Record<Broker, readonly Step[]>> = {
  rabbitmq: ALL.filter((step) => step !== 'life'),
  postgres: ALL.filter((step) => !/^(publish|remove)-|^claim$/.test(step)),
};

/** Where a worker of this broker may die. */
export function faultPointsOf(broker: Broker): readonly FaultPoint[] {
  return REACHED[broker].flatMap((step) => STEPS[step].map((moment) => `${step}:${moment}` as const));
}

/** Where one worker dies. */
export interface FaultPlan {
  readonly point: FaultPoint;
  /** At which call of the step, from 1. */
  readonly nth: number;
  /** How many turns of the event loop a step is under way when `during` strikes; for `life`, five milliseconds each. */
  readonly turns: number;
}
