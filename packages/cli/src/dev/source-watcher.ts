import { type FSWatcher, type Stats, readdirSync, statSync, watch } from 'node:fs';
import path from 'node:path';

/** Changes within so many milliseconds are one: an editor that saves all its files, a `git checkout`. */
const TOGETHER_MS = 100;
/** How often a folder that is gone is looked for. */
const LOOK_EVERY_MS = 500;
const SOURCE = /\.([cm]?[jt]sx?|json)$/;
const TASK_MODULE = /^tasks\.[cm]?[jt]s$/;

/** What a SourceWatcher looks at. */
export interface Watched {
  /** The files whose changes count; absolute paths. Those that are missing count when they appear. */
  readonly files: ReadonlySet<string>;
  /** Whether any source that changes in the folders of those files, and in the folders in those, counts too: for code that could not be loaded, whose missing part may be anywhere. */
  readonly wide: boolean;
}

/**
 * Tells when source files change, whether saved in place or replaced by another file. It is folders that are watched, as the watch on a file ends with the file; and what counts
 * is a file's state, as events are told twice or for nothing. A new `tasks.*` in a watched folder counts as well.
 */
export class SourceWatcher {
  readonly #onChange: (files: readonly string[]) => void;
  readonly #onProblem: (text: string) => void;
  readonly #root: string;
  #watched: Watched = { files: new Set(), wide: false };
  readonly #states = new Map<string, string>();
  readonly #folders = new Map<string, FSWatcher>();
  /** Those that were watched and have been removed. */
  readonly #gone = new Set<string>();
  readonly #appeared = new Set<string>();
  #timer: NodeJS.Timeout | null = null;
  readonly #looking: NodeJS.Timeout;
  #complained = false;

  /** @param root a folder that is watched whatever the files are */
  constructor(
    root: string,
    listeners: { readonly onChange: (files: readonly string[]) => void; readonly onProblem: (text: string) => void },
  ) {
    this.#root = root;
    this.#onChange = listeners.onChange;
    this.#onProblem = listeners.onProblem;
    this.#looking = setInterval(() => this.#findAgain(), LOOK_EVERY_MS).unref();
  }

  /** Replaces what is watched. A file that was watched before is compared with what it was then. */
  watch(watched: Watched): void {
    this.#watched = watched;
    for (const file of this.#states.keys()) if (!watched.files.has(file)) this.#states.delete(file);
    for (const file of watched.files) if (!this.#states.has(file)) this.#states.set(file, stateOf(file));
    this.#open();
  }

  close(): void {
    clearInterval(this.#looking);
    if (this.#timer !== null) clearTimeout(this.#timer);
    for (const watcher of this.#folders.values()) watcher.close();
    this.#folders.clear();
  }

  /** Watches the folders that should be and are not, and no others. */
  #open(): void {
    const wanted = this.#wanted();
    for (const [folder, watcher] of this.#folders) {
      if (wanted.has(folder)) continue;
      watcher.close();
      this.#folders.delete(folder);
    }
    for (const folder of wanted) if (!this.#folders.has(folder) && isFolder(folder)) this.#openFolder(folder);
  }

  #wanted(): ReadonlySet<string> {
    const { files, wide } = this.#watched;
    const folders = new Set([this.#root, ...[...files].map((file) => path.dirname(file))]);
    return wide ? new Set([...folders].flatMap((folder) => [folder, ...foldersIn(folder)])) : folders;
  }

  #openFolder(folder: string): void {
    const gone = (): void => {
      this.#folders.get(folder)?.close();
      this.#folders.delete(folder);
      this.#gone.add(folder);
      // One that is moved away takes its files along without a word about them.
      this.#timer ??= setTimeout(() => this.#look(), TOGETHER_MS);
    };
    try {
      const watcher = watch(folder, (_event, name) => {
        this.#saw(folder, name);
        if (!isFolder(folder)) gone();
      });
      watcher.on('error', gone);
      this.#folders.set(folder, watcher);
    } catch (error) {
      // The system's limit of watches, above all: once is enough.
      if (!this.#complained) this.#onProblem(`changes in ${folder} go unseen: ${(error as Error).message}`);
      this.#complained = true;
    }
  }

  #saw(folder: string, name: string | null): void {
    const file = name === null ? null : path.join(folder, name);
    if (file !== null && !this.#watched.files.has(file)) {
      if (!this.#mayCount(file)) return;
      this.#appeared.add(file);
    }
    // Not from the last event on: a folder that is written to all the time would never be looked at.
    this.#timer ??= setTimeout(() => this.#look(), TOGETHER_MS);
  }

  #mayCount(file: string): boolean {
    const name = path.basename(file);
    if (this.#watched.wide) return SOURCE.test(name) || (isWatchable(name) && isFolder(file));
    return TASK_MODULE.test(name) && statOf(file) !== null;
  }

  #look(): void {
    this.#timer = null;
    const changed = new Set(this.#appeared);
    this.#appeared.clear();
    for (const [file, before] of this.#states) {
      const now = stateOf(file);
      if (now === before) continue;
      this.#states.set(file, now);
      changed.add(file);
    }
    if (changed.size === 0) return;
    this.#open();
    this.#onChange([...changed]);
  }

  /** A folder that was removed and made again, as by a `git checkout`, is another one. */
  #findAgain(): void {
    const back = [...this.#gone].filter(isFolder);
    if (back.length === 0) return;
    for (const folder of back) this.#gone.delete(folder);
    this.#open();
    this.#timer ??= setTimeout(() => this.#look(), TOGETHER_MS);
  }
}

/** What differs once a file has been written or replaced; '' for one that is missing. */
function stateOf(file: string): string {
  const stat = statOf(file);
  return stat === null ? '' : `${stat.mtimeMs}:${stat.size}:${stat.ino}`;
}

/** null for what is missing, or may not be looked at. */
function statOf(name: string): Stats | null {
  try {
    return statSync(name);
  } catch {
    return null;
  }
}

function isFolder(name: string): boolean {
  return statOf(name)?.isDirectory() ?? false;
}

function foldersIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder, { withFileTypes: true })
      .filter((entry) => entry.isDirectory() && isWatchable(entry.name))
      .map((entry) => path.join(folder, entry.name));
  } catch {
    return [];
  }
}

function isWatchable(name: string): boolean {
  return !name.startsWith('.') && name !== 'node_modules';
}
