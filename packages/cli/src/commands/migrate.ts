import type { SchemaManager, SchemaStatus } from '@lovage/core';
import { appOption, jsonOption } from '../app-options.js';
import { defineCommand } from '../command.js';
import type { ExitName } from '../exit-codes.js';
import { schemaManagersOf } from '../schema-managers.js';
import { describeSchema, isCurrent } from '../schema-status.js';
import { stdoutOf } from '../terminal.js';
import { showConnectionRetries, withApp } from '../with-app.js';

/** `lovage migrate`: brings the schema of the results, and of a broker in PostgreSQL, to what this version needs. */
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
      const { line, colors } = stdoutOf(io);
      const ends: ExitName[] = [];
      for (const schema of await schemaManagersOf(app)) ends.push(await bringUp(schema));
      return ends.find((end) => end !== 'ok') ?? 'ok';

      async function bringUp(schema: SchemaManager): Promise<ExitName> {
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
      }
    }),
});

function describeStatus(status: SchemaStatus): string[] {
  const { applied, pending, unknown } = status;
  return [
    ...applied.map((name) => `applied  ${name}`),
    ...pending.map((name) => `pending  ${name}`),
    ...unknown.map((name) => `unknown  ${name}`),
    describeSchema(status),
  ];
}
