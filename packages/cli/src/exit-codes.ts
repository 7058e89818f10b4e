/** What a command ends with, one table for all of them. docs/reference/cli.md renders it and a test holds the two together. */
export const EXIT_CODES = {
  ok: { code: 0, means: 'Done. For a worker or relay: stopped as it was asked to, with nothing left undone.' },
  failure: { code: 1, means: 'Anything else went wrong; the message says what.' },
  usage: { code: 2, means: 'The command line, the configuration, the app or one of its task modules is wrong.' },
  unavailable: {
    code: 3,
    means: 'The broker or the database cannot be used: unreachable, refused, or its queues or schema do not fit.',
  },
  taskFailed: { code: 4, means: 'The task ended FAILURE or REVOKED.' },
  noRecord: { code: 5, means: 'There is no record of that id: unknown, or not finished.' },
  timedOut: { code: 6, means: 'The task did not finish within --timeout. It may still finish.' },
  abandoned: {
    code: 7,
    means: 'The worker stopped before all of its tasks had ended; the broker delivers them again.',
  },
} as const satisfies Record<string, { readonly code: number; readonly means: string }>;

export type ExitName = keyof typeof EXIT_CODES;
