import { PassThrough } from 'node:stream';
import { main } from '../src/main.js';

export interface RunOptions {
  readonly cwd: string;
  readonly env?: Readonly<Record<string, string>>;
  /** What is typed, if stdin and stdout are a terminal; null: they are none. Default null. */
  readonly typed?: string | null;
}

export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs one command line of `create-lovage` in this process. */
export async function runCreate(argv: readonly string[], { cwd, env = {}, typed = null }: RunOptions): Promise<Ran> {
  const terminal = typed === null ? {} : { isTTY: true };
  const stdin = Object.assign(new PassThrough(), terminal);
  const stdout = Object.assign(new PassThrough(), terminal);
  const stderr = new PassThrough();
  const output = Promise.all([textOf(stdout), textOf(stderr)]);
  stdin.write(typed ?? ''); // and left open, as a terminal is
  const code = await main(argv, { stdin, stdout, stderr, env, cwd });
  stdout.end();
  stderr.end();
  const [out, err] = await output;
  return { code, stdout: out, stderr: err };
}

async function textOf(output: PassThrough): Promise<string> {
  let text = '';
  for await (const chunk of output) text += String(chunk);
  return text;
}
