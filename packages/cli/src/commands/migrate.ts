import { LovageError, resultsNotConfigured, type Lovage, type SchemaManager, type SchemaStatus } from '@lovage/core';
import { appOption, jsonOption } from '../app-options.js';
import { defineCommand } from '../command.js';
import { describeSchema, isCurrent } from '../schema-status.js';
import { stdoutOf } from '../terminal.js';
import { showConnectionRetries, withApp } from '../with-app.js';

/** `lovage migrate`: brings the schema of the results to what this version needs. */
export const command = defineCommand({
  build: (parser) =>
    jsonOption(appOption(parser))
      .option('status', {
        type: 'boolean',
        default: false,
        describe: 'Change nothing; say what is applied and what is missing',
      })
      .example('$0 migrate', 'Apply what is missing; safe to run twice, or from two machines at once')
      .example('$0 migrate --status', 'Ends with 3 where something is missing'),

  run: (options, io) =>
    withApp(options.app, io, async (app) => {
      showConnectionRetries(app, io);
      const schema = await schemaManagerOf(app);
      const { line, colors } = stdoutOf(io);
      if (options.status) {
        const status = await schema.status();
        if (options.json) line(JSON.stringify(status));
        else for (const text of describeStatus(status)) line(text);
        return isCurrent(status) ? 'ok' : 'unavailable';
      }
      const applied = await schema.migrate();
      if (options.json) {
        line(JSON.stringify({ applied }));
        return 'ok';
      }
      for (const name of applied) line(`${colors.green('applied')} ${name}`);
      line(describeSchema(await schema.status()));
      return 'ok';
    }),
});

async function schemaManagerOf(app: Lovage): Promise<SchemaManager> {
  const backend = await app.resultBackend();
  if (backend === null) throw resultsNotConfigured('migrate works on the tables of stored results');
  const { schema } = backend.capabilities;
  if (schema === undefined)
    throw new LovageError('LOVAGE_DRIVER', "this app's result backend has no schema: nothing to migrate");
  return schema;
}

function describeStatus(status: SchemaStatus): string[] {
  const { applied, pending, unknown } = status;
  return [
    ...applied.map((name) => `applied  ${name}`),
    ...pending.map((name) => `pending  ${name}`),
    ...unknown.map((name) => `unknown  ${name}`),
    describeSchema(status),
  ];
}
