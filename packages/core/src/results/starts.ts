/** What starts are counted of: a retry or a requeue is another attempt, whose count begins anew. */
export interface TaskAttempt {
  readonly id: string;
  readonly attempt: number;
}

/**
 * Counts the starts of tasks that have no end (rule 5): what a worker that died leaves behind. A capability of a ResultBackend. A count is a hint: one that is lost lets a task
 * run once more. What cannot be stored as an id is passed over.
 */
export interface Starts {
  /** How many starts of each have no end yet, in the order asked. */
  unended(tasks: readonly TaskAttempt[]): Promise<readonly number[]>;

  /** Counts one more start of each. */
  begin(tasks: readonly TaskAttempt[]): Promise<void>;

  /** Takes one start of each back: it says nothing about the task. One that is not counted is passed over. */
  takeBack(tasks: readonly TaskAttempt[]): Promise<void>;

  /** These attempts have ended: their starts, and those of earlier ones, are forgotten. */
  end(tasks: readonly TaskAttempt[]): Promise<void>;
}
