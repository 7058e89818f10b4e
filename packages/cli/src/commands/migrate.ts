import { LovageError, PARTITION_PERIODS, type SchemaManager, type SchemaStatus } from '@lovage/core';
import { appOption, jsonOption } from '../app-options.js';
import { defineCommand } from '../command.js';
import type { ExitName } from '../exit-codes.js';
import { choiceOption } from '../option-values.js';
import { describePartitions, partitionsOf } from '../partition-text.js';
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
      .option('partition', {
        type: 'string',
        requiresArg: true,
        describe: `Keep results in partitions from now on, one a ${PARTITION_PERIODS.slice(0, -1).join(', ')} or ${PARTITION_PERIODS.at(-1)}`,
      })
      .example('$0 migrate', 'Apply what is missing; safe to run twice, or from two machines at once')
      .example('$0 migrate --status', 'Ends with 3 where something is missing')
      .example('$0 migrate --partition day', 'See the guide on partitions; safe to run twice'),

  run: (options, io) => {
    if (options.status && options.partition !== undefined)
      throw new LovageError('LOVAGE_USAGE', '--status changes nothing and --partition does: leave one of them out');
    const period =
      options.partition === undefined ? null : choiceOption(options.partition, PARTITION_PERIODS, '--partition');
    return withApp(options.app, io, async (app) => {
      showConnectionRetries(app, io);
      const { line, colors } = stdoutOf(io);
      const ends: ExitName[] = [];
      const partitions = period === null ? null : await partitionsOf(app);
      for (const schema of await schemaManagersOf(app)) ends.push(await bringUp(schema));
      if (partitions !== null && period !== null) {
        const changes = await partitions.partitionBy(period);
        if (options.json) line(JSON.stringify(changes));
        else
          for (const text of [...describePartitions(changes, { colors, dryRun: false }), `partitioned by ${period}`])
            line(text);
      }
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
    });
  },
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
