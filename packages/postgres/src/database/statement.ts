import { createHash } from 'node:crypto';

/** One SQL statement; `name` marks one that each connection prepares once. */
export interface Statement {
  readonly name: string | null;
  readonly text: string;
}

/** A statement that is planned afresh for its values. */
export function statement(text: string): Statement {
  return { name: null, text };
}

/** A statement that is prepared once a connection. Named after its text, so that two schemas can share a user's pool. */
export function preparedStatement(text: string): Statement {
  return { name: `lovage_${createHash('sha1').update(text).digest('hex').slice(0, 16)}`, text };
}
