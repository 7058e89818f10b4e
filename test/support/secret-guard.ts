import type { ChildProcess } from 'node:child_process';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { Readable } from 'node:stream';
import { commandOf, descendants } from './process-tree.js';

/** A shorter one would be found by chance; and `guest` is a user's name too. */
const MIN_LENGTH = 12;

/**
 * Looks for secrets in all that the processes of a test show to others: what they write to stdout and stderr, and their command lines, which a process's title replaces. It reads
 * along without taking anything from whoever reads.
 */
export class SecretGuard {
  readonly #secrets = new Set<string>();
  readonly #children = new Set<ChildProcess>();
  readonly #leaks: string[] = [];
  readonly #spawned = (message: unknown): void => this.#watch((message as { readonly process: ChildProcess }).process);

  /** What was shown, each with the place, the secret left out. */
  get leaks(): readonly string[] {
    return this.#leaks;
  }

  /** From now on this is looked for: as it is, and as it stands in a URL or in JSON. One that is too short to be told from other text is passed over. */
  keep(...secrets: readonly string[]): void {
    for (const secret of secrets.filter(({ length }) => length >= MIN_LENGTH))
      for (const form of [secret, encodeURIComponent(secret), JSON.stringify(secret).slice(1, -1)])
        this.#secrets.add(form);
  }

  /** Watches every child of this process that is started from now on. */
  start(): void {
    subscribe('child_process', this.#spawned);
  }

  stop(): void {
    unsubscribe('child_process', this.#spawned);
  }

  /** Looks at the command lines of the children that live, and of all processes below them. */
  lookAtProcesses(): void {
    for (const { pid } of this.#children)
      for (const one of [pid as number, ...descendants(pid as number)])
        this.check(commandOf(one), `the command line of ${one}`);
  }

  check(text: string, place: string): void {
    for (const secret of this.#secrets) {
      const at = text.indexOf(secret);
      if (at === -1) continue;
      const around = text.slice(Math.max(0, at - 60), at + secret.length + 20).replaceAll(secret, '***');
      this.#leaks.push(`${place} shows a secret: …${around}…`);
    }
  }

  #watch(child: ChildProcess): void {
    // Node tells of it before it has started.
    child.once('spawn', () => {
      this.#children.add(child);
      child.once('exit', () => this.#children.delete(child));
      const name = child.spawnargs.join(' ');
      this.check(name, 'a command line');
      for (const output of ['stdout', 'stderr'] as const) {
        const stream = child[output];
        if (stream !== null) this.#readAlong(stream, `${output} of \`${name.slice(0, 120)}\``);
      }
    });
  }

  // A listener for 'data' would make the stream flow, and whoever listens later would miss what came before.
  #readAlong(stream: Readable, place: string): void {
    const emit = stream.emit.bind(stream) as (...args: unknown[]) => boolean;
    let last = '';
    let isTitleSeen = false;
    stream.emit = (event: string | symbol, ...args: unknown[]): boolean => {
      if (event === 'data') {
        const text = last + String(args[0]);
        this.check(text, place);
        // A secret may come in two pieces.
        last = text.slice(-200);
        // By now it has given itself the title that it wants.
        if (!isTitleSeen) this.lookAtProcesses();
        isTitleSeen = true;
      }
      return emit(event, ...args);
    };
  }
}
