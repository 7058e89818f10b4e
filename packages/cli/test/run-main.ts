import { PassThrough } from 'node:stream';
import { main } from '../src/main.js';

export interface RunOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** What is typed or piped in. */
  readonly input?: string;
  /** Whether all three streams are a terminal; default false. */
  readonly isTTY?: boolean;
  /** Called once with what sends the process a signal. */
  readonly onSignals?: (send: (signal: NodeJS.Signals) => void) => void;
}

export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs one command line in this process. */
export async function runMain(argv: readonly string[], options: RunOptions = {}): Promise<Ran> {
  const [stdin, stdout, stderr] = [stream(options), stream(options), stream(options)];
  stdin.end(options.input ?? '');
  const output = Promise.all([textOf(stdout), textOf(stderr)]);
  const code = await main(argv, {
    stdin,
    stdout,
    stderr,
    env: options.env ?? {},
    cwd: options.cwd ?? process.cwd(),
    onStopSignal: (listener) => {
      options.onSignals?.(listener);
      return () => {};
    },
    untilIdle: async () => {},
  });
  stdout.end();
  stderr.end();
  const [out, err] = await output;
  return { code, stdout: out, stderr: err };
}

function stream({ isTTY }: RunOptions): PassThrough & { isTTY?: boolean } {
  return Object.assign(new PassThrough(), isTTY === true ? { isTTY } : {});
}

async function textOf(output: PassThrough): Promise<string> {
  let text = '';
  for await (const chunk of output) text += String(chunk);
  return text;
}
