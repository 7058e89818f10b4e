import type { TestSchema } from './support.js';

/** A schema as text: what pg_dump says, less what depends on the server's version, and without needing pg_dump. */
export async function dumpSchema(schema: TestSchema): Promise<string> {
  const tables = await schema.sql<{ name: string }>(
    "SELECT relname AS name FROM pg_class WHERE relnamespace = $1::regnamespace AND relkind IN ('r', 'p') ORDER BY relname",
    [`"${schema.name}"`],
  );
  const parts: string[] = [];
  for (const { name } of tables) parts.push(await dumpTable(schema, name));
  return `${parts.join('\n')}`.replaceAll(`${schema.name}.`, '');
}

async function dumpTable(schema: TestSchema, table: string): Promise<string> {
  const columns = await schema.sql<{ line: string }>(
    `SELECT concat_ws(' ', attname, format_type(atttypid, atttypmod),
       CASE WHEN attcollation <> typcollation THEN 'COLLATE "' || collname || '"' END,
       CASE WHEN attnotnull THEN 'NOT NULL' END,
       'DEFAULT ' || pg_get_expr(adbin, adrelid)) AS line
     FROM pg_attribute
     JOIN pg_type ON pg_type.oid = atttypid
     LEFT JOIN pg_collation ON pg_collation.oid = attcollation
     LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
     WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped
     ORDER BY attnum`,
    [table],
  );
  // PostgreSQL 18 lists NOT NULL among the constraints ('n').
  const constraints = await schema.sql<{ line: string }>(
    `SELECT 'CONSTRAINT ' || conname || ' ' || pg_get_constraintdef(oid) AS line
     FROM pg_constraint WHERE conrelid = $1::regclass AND contype <> 'n' ORDER BY conname`,
    [table],
  );
  const indexes = await schema.sql<{ line: string }>(
    `SELECT pg_get_indexdef(indexrelid) AS line FROM pg_index
     WHERE indrelid = $1::regclass AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)
     ORDER BY indexrelid::regclass::text`,
    [table],
  );
  const body = [...columns, ...constraints].map(({ line }) => `  ${line}`).join(',\n');
  return `CREATE TABLE ${table} (\n${body}\n);\n${indexes.map(({ line }) => `${line};\n`).join('')}`;
}
