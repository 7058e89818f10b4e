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
} as const satisfies Record<string, readonly Moment[]>;

/** `during`: under way, and of what goes in parts, half of them. */
export type Moment = 'before' | 'during' | 'after';

export type Step = keyof typeof STEPS;

export type FaultPoint = `${Step}:${Moment}`;

export const FAULT_POINTS: readonly FaultPoint[] = (Object.keys(STEPS) as Step[]).flatMap((step) =>
  STEPS[step].map((moment) => `${step}:${moment}` as const),
);

/** Where one worker dies. */
export interface FaultPlan {
  readonly point: FaultPoint;
  /** At which call of the step, from 1. */
  readonly nth: number;
  /** How many turns of the event loop a step is under way when `during` strikes. */
  readonly turns: number;
}
