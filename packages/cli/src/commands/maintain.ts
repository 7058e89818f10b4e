import { resultsNotConfigured } from '@lovage/core';
import { maintain } from '@lovage/worker';
import { appOption, jsonOption, retryOption } from '../app-options.js';
import { defineCommand } from '../command.js';
import type { ExitName } from '../exit-codes.js';
import { describePartitions } from '../partition-text.js';
import { stdoutOf } from '../terminal.js';
import { retryOf, showConnectionRetries, withApp } from '../with-app.js';

/** `lovage maintain`: what workers do to the stored results once a minute, once. */
export const command = defineCommand({
  build: (parser) =>
    retryOption(jsonOption(appOption(parser)))
      .option('dry-run', {
        type: 'boolean',
        default: false,
        describe: 'Change nothing; say which partitions would be made and dropped',
      })
      .example('$0 maintain', 'From cron, where no worker runs, or workers may not change tables')
      .example('$0 maintain --dry-run', 'What keeps a partition that should be over'),

  run: (options, io) =>
    withApp(options.app, io, async (app): Promise<ExitName> => {
      showConnectionRetries(app, io);
      const { revocations } = await app.settings();
      const results = await app.connectResults(retryOf(options));
      if (results === null) throw resultsNotConfigured('maintain works on stored results');
      const report = options.dryRun
        ? { partitions: (await results.capabilities.partitions?.maintain({ dryRun: true })) ?? null }
        : await maintain({ results, keepRevocationsMs: revocations.keepMs });
      const { line, colors } = stdoutOf(io);
      if (options.json) {
        line(JSON.stringify(report));
        return 'ok';
      }
      if ('records' in report) line(`deleted ${report.records} records, ${report.revocations} revocations`);
      const { partitions } = report;
      if (partitions === null || partitions.period === null) {
        if (options.dryRun) line('the results are not partitioned');
        return 'ok';
      }
      for (const text of describePartitions(partitions, { colors, dryRun: options.dryRun })) line(text);
      if (options.dryRun) line(`nothing was changed; partitioned by ${partitions.period}`);
      return 'ok';
    }),
});
