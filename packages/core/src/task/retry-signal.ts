/** Under Symbol.for, so that two copies of the package see each other's. */
const BRAND = Symbol.for('lovage.retry');

/** What TaskContext.retry throws: no error, but the only way out of the user's code. Whoever catches it in a task and goes on has decided against the retry. */
export class RetrySignal extends Error {
  /** null: as the policy says. */
  readonly delayMs: number | null;

  constructor(delayMs: number | null, cause: unknown) {
    super('the task asked to be retried: let what TaskContext.retry() throws pass', { cause });
    this.delayMs = delayMs;
    Object.defineProperty(this, 'name', { value: 'RetrySignal', configurable: true });
    Object.defineProperty(this, BRAND, { value: true });
  }
}

/** Total: a task may throw a Proxy that throws when it is looked at. */
export function isRetrySignal(value: unknown): value is RetrySignal {
  try {
    return typeof value === 'object' && value !== null && BRAND in value;
  } catch {
    return false;
  }
}
