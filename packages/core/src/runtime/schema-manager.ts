/** Creates and upgrades the tables. Connects by itself: it works before `start`, which refuses a schema that does not fit. */
export interface SchemaManager {
  /** Applies what is missing, under a lock that makes racing callers wait. Resolves with the names applied, in order. LOVAGE_SCHEMA if the schema is newer than the code. */
  migrate(): Promise<readonly string[]>;
  status(): Promise<SchemaStatus>;
}

export interface SchemaStatus {
  readonly schema: string;
  readonly applied: readonly string[];
  readonly pending: readonly string[];
  /** Migrations in the database that this code does not know: the schema is newer. */
  readonly unknown: readonly string[];
}
