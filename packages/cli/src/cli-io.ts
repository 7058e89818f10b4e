import type { Writable } from 'node:stream';

/** A stream the command line writes to. */
export type CliOutput = Writable & { readonly isTTY?: boolean | undefined; readonly columns?: number | undefined };

/** All that a command touches of its process, so that it can run without one. */
export interface CliIo {
  readonly stdin: NodeJS.ReadableStream & { readonly isTTY?: boolean | undefined };
  readonly stdout: CliOutput;
  readonly stderr: CliOutput;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  /** Calls `listener` at each SIGINT and SIGTERM, and if asked for at SIGHUP, in place of what they do otherwise, until the function returned is called. A Ctrl-C that comes twice, as npm passes on what the terminal has sent already, counts once. */
  onStopSignal(listener: (signal: NodeJS.Signals) => void, options?: { readonly hangUp?: boolean }): () => void;
  /** Resolves once nothing is left to do: what a script left behind (timers, open connections) has run to its end. */
  untilIdle(): Promise<void>;
}
