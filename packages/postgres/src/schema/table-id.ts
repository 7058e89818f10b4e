import { escapeIdentifier } from 'pg';
import type { Database } from '../database/database.js';
import { statement } from '../database/statement.js';

/**
 * Names the tables of a schema: the same through every connection to them, whatever its URL, and no other schema's. The server's own id and the
 * database's name tell a restored copy from its original.
 */
export async function readTableId(database: Database, schema: string): Promise<string> {
  const read = statement(
    `SELECT concat_ws('/', system_identifier, current_database(), id) AS id FROM ${escapeIdentifier(schema)}.schema_id, pg_control_system()`,
  );
  const [row] = await database.run(read, []);
  return row?.['id'] ?? '';
}
