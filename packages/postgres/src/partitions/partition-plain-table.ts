import { LovageError } from '@lovage/core';
import { escapeIdentifier } from 'pg';
import { DEFAULT_PARTITION, PLAIN, type Query } from './partitioned-table.js';

/** What follows a table through its renaming, and would be left with the records of one partition. */
const DEPENDENTS = `
SELECT DISTINCT 'view ' || ev_class::regclass::text AS name FROM pg_rewrite
  JOIN pg_depend ON pg_depend.objid = pg_rewrite.oid AND pg_depend.classid = 'pg_rewrite'::regclass
  WHERE refobjid = to_regclass($1) AND refclassid = 'pg_class'::regclass AND ev_class <> refobjid
UNION ALL SELECT 'trigger ' || tgname FROM pg_trigger WHERE tgrelid = to_regclass($1) AND NOT tgisinternal
UNION ALL SELECT 'foreign key ' || conname FROM pg_constraint WHERE contype = 'f' AND to_regclass($1) IN (conrelid, confrelid)
UNION ALL SELECT 'policy ' || polname FROM pg_policy WHERE polrelid = to_regclass($1)
UNION ALL SELECT 'publication ' || pubname FROM pg_publication_rel JOIN pg_publication ON pg_publication.oid = prpubid
  WHERE prrelid = to_regclass($1)`;

const INDEXES = `
SELECT relname::text AS name, indisprimary::text AS is_primary, pg_get_indexdef(indexrelid) AS definition
FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid WHERE indrelid = to_regclass($1)`;

/** Whoever may read the one may read the other. */
const RIGHTS = `
SELECT format('ALTER TABLE %s OWNER TO %I', $2::text, pg_get_userbyid(relowner)) AS statement FROM pg_class
  WHERE oid = to_regclass($1) AND relowner <> current_user::regrole
UNION ALL
SELECT format('GRANT %s ON %s TO %s%s', privilege_type, $2::text,
  CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END, CASE WHEN is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
FROM pg_class, aclexplode(relacl) WHERE oid = to_regclass($1)`;

/**
 * Makes the plain table the default partition of a new one that has its name, indexes and rights: no row is read or copied. `reserved` is the
 * constraint that the new one is not to have. Throws LOVAGE_SCHEMA for a table on which something of the user's depends.
 */
export async function partitionPlainTable(query: Query, schema: string, reserved: string): Promise<void> {
  const table = `${escapeIdentifier(schema)}.${PLAIN}`;
  const rest = `${escapeIdentifier(schema)}.${DEFAULT_PARTITION}`;
  const indexes = await query(INDEXES, [table]);

  await query(`ALTER TABLE ${table} RENAME TO ${DEFAULT_PARTITION}`);
  for (const { name } of indexes)
    await query(
      `ALTER INDEX ${escapeIdentifier(schema)}.${escapeIdentifier(name ?? '')} RENAME TO ${escapeIdentifier(`${name}_default`)}`,
    );
  await query(`CREATE TABLE ${table} (LIKE ${rest} INCLUDING ALL EXCLUDING INDEXES) PARTITION BY RANGE (id)`);
  await query(`ALTER TABLE ${table} DROP CONSTRAINT ${reserved}, ADD CONSTRAINT ${PLAIN}_pkey PRIMARY KEY (id)`);
  // As they were defined on the table of that name.
  for (const { is_primary, definition } of indexes) if (is_primary !== 'true') await query(definition ?? '');
  for (const { statement } of await query(RIGHTS, [rest, table])) await query(statement ?? '');
  await query(`ALTER TABLE ${table} ATTACH PARTITION ${rest} DEFAULT`);
}

export async function refuseDependents(query: Query, schema: string): Promise<void> {
  const dependents = await query(DEPENDENTS, [`${escapeIdentifier(schema)}.${PLAIN}`]);
  if (dependents.length === 0) return;
  const names = dependents.map(({ name }) => name).join(', ');
  throw new LovageError(
    'LOVAGE_SCHEMA',
    `${schema}.${PLAIN} cannot be partitioned under what depends on it (${names}), which would be left with a part of its records: drop that, partition, and create it anew`,
  );
}
