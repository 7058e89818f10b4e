import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

/** One numbered file of SQL. It writes its own name into the table `migrations`, so that psql can apply it too. */
export interface Migration {
  /** The file's name without `.sql`. */
  readonly name: string;
  readonly sql: string;
}

/** The same distance from `src` and from `dist`. */
const FOLDER = join(__dirname, '..', '..', 'migrations');

/** The migrations of this version of the package, in order. */
export function readMigrations(): readonly Migration[] {
  return readdirSync(FOLDER)
    .filter((file) => /^\d{3}_\w+\.sql$/.test(file))
    .sort()
    .map((file) => ({ name: file.slice(0, -'.sql'.length), sql: readFileSync(join(FOLDER, file), 'utf8') }));
}
