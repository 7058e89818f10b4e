import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { createInterface } from 'node:readline';

const REPOSITORY = path.join(__dirname, '..', '..');
/** Starts in half the time of `--import jiti/register`, which loads modules in another thread. */
const JITI = path.join(path.dirname(require.resolve('jiti/package.json')), 'lib', 'jiti-cli.mjs');

/** How a process has ended. */
export interface End {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A process of these tests' own that takes orders and says things, a JSON document a line each. */
export class Hand<Order extends object, Word extends { readonly kind: string }> {
  readonly #child: ChildProcess;
  readonly #words: Word[] = [];
  readonly #listeners = new Set<() => void>();
  #errors = '';
  #end: End | null = null;
  readonly ended: Promise<End>;

  /** @param script beside this file. */
  constructor(script: string) {
    this.#child = spawn(process.execPath, [JITI, path.join(__dirname, script)], {
      cwd: REPOSITORY,
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    this.#child.stdin?.on('error', () => undefined);
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.#errors += text));
    createInterface({ input: this.#child.stdout as NodeJS.ReadableStream }).on('line', (line) => {
      this.#words.push(JSON.parse(line) as Word);
      this.#tell();
    });
    this.ended = once(this.#child, 'close').then(([code, signal]) => {
      this.#end = { code: code as number | null, signal: signal as NodeJS.Signals | null };
      this.#tell();
      return this.#end;
    });
  }

  get pid(): number {
    return this.#child.pid as number;
  }

  /** null while it lives. */
  get end(): End | null {
    return this.#end;
  }

  /** All that it has said. */
  get words(): readonly Word[] {
    return this.#words;
  }

  /** What it has written to standard error. */
  get errors(): string {
    return this.#errors;
  }

  order(order: Order): void {
    this.#child.stdin?.write(`${JSON.stringify(order)}\n`);
  }

  /** The next word of a kind; null: it has ended before it said so. */
  async next<K extends Word['kind']>(kind: K): Promise<Extract<Word, { readonly kind: K }> | null> {
    const from = this.#words.length;
    for (;;) {
      const found = this.#words.slice(from).find((word) => word.kind === kind);
      if (found !== undefined) return found as Extract<Word, { readonly kind: K }>;
      if (this.#end !== null) return null;
      await new Promise<void>((resolve) => {
        const listener = (): void => {
          this.#listeners.delete(listener);
          resolve();
        };
        this.#listeners.add(listener);
      });
    }
  }

  kill(): Promise<End> {
    this.#child.kill('SIGKILL');
    return this.ended;
  }

  #tell(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}

/** Keeps one process waiting that has its modules loaded, so that a fresh one is at work at once. */
export class Hands<Order extends object, Word extends { readonly kind: string }> {
  readonly #script: string;
  readonly #spares: Hand<Order, Word>[] = [];
  readonly #taken = new Set<Hand<Order, Word>>();

  constructor(script: string, spares = 1) {
    this.#script = script;
    for (let count = 0; count < spares; count++) this.#spares.push(new Hand(script));
  }

  take(): Hand<Order, Word> {
    const hand = this.#spares.shift() ?? new Hand<Order, Word>(this.#script);
    this.#spares.push(new Hand(this.#script));
    this.#taken.add(hand);
    void hand.ended.then(() => this.#taken.delete(hand));
    return hand;
  }

  /** Ends all that still run. */
  async close(): Promise<void> {
    await Promise.all([...this.#spares.splice(0), ...this.#taken].map((hand) => hand.kill()));
  }
}
