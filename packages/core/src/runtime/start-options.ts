/** How the connection to a server is begun. */
export interface StartOptions {
  /** How long a first connection is tried, in milliseconds; 0: one attempt. Later losses are repaired for ever. */
  readonly retryForMs: number;
}
