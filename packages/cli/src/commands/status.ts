import {
  deadQueueOf,
  lostQueueOf,
  maskUrl,
  queueSpec,
  workerQueues,
  type Lovage,
  type QueueDepth,
  type SchemaStatus,
} from '@lovage/core';
import { appOption, jsonOption } from '../app-options.js';
import { defineCommand } from '../command.js';
import { inspectorOf } from '../inspector-of.js';
import { describeSchema, isCurrent } from '../schema-status.js';
import { messageOf } from '../report-error.js';
import { alignColumns } from '../table.js';
import { stdoutOf, type Colors } from '../terminal.js';
import { withApp } from '../with-app.js';

interface Reachability {
  readonly urls: readonly string[];
  readonly reachable: boolean;
  readonly error: string | null;
}

interface Status {
  readonly app: string;
  readonly broker: Reachability & { readonly queues: readonly QueueStatus[] };
  /** null: the app stores no results. */
  readonly results: (Reachability & { readonly schema: SchemaStatus | null }) | null;
}

interface QueueStatus {
  readonly name: string;
  /** null: the queue does not exist yet. */
  readonly depth: QueueDepth | null;
}

/** `lovage status`: whether everything that the app needs is there. */
export const command = defineCommand({
  build: (parser) =>
    jsonOption(appOption(parser))
      .example('$0 status', 'Each connection is tried once')
      .example('$0 status --json', 'For a health check: ends with 3 unless everything is reachable'),

  run: (options, io) =>
    withApp(options.app, io, async (app) => {
      const { settings } = await app.load();
      const [broker, results] = await Promise.all([brokerStatus(app), resultsStatus(app)]);
      const status: Status = { app: settings.name, broker, results };
      const { line, colors } = stdoutOf(io);
      if (options.json) line(JSON.stringify(status));
      else for (const text of describe(status, colors)) line(text);
      const healthy = broker.reachable && (results === null || (results.reachable && results.error === null));
      return healthy ? 'ok' : 'unavailable';
    }),
});

async function brokerStatus(app: Lovage): Promise<Status['broker']> {
  const { settings, tasks } = await app.load();
  const urls = settings.broker.urls.map(maskUrl);
  try {
    const inspector = inspectorOf(await app.connectBroker({ retryForMs: 0 }));
    const names = workerQueues(settings, tasks.list()).flatMap((queue) =>
      queueSpec(settings, queue).type === 'quorum'
        ? [queue, lostQueueOf(queue), deadQueueOf(queue)]
        : [queue, deadQueueOf(queue)],
    );
    const depths = await inspector.depths(names);
    return {
      urls,
      reachable: true,
      error: null,
      queues: names.map((name, index) => ({ name, depth: depths[index] ?? null })),
    };
  } catch (error) {
    return { urls, reachable: false, error: messageOf(error), queues: [] };
  }
}

async function resultsStatus(app: Lovage): Promise<Status['results']> {
  const { results } = await app.settings();
  if (results === null) return null;
  const urls = results.url === '' ? [] : [maskUrl(results.url)];
  let schema: SchemaStatus | null = null;
  try {
    schema = (await (await app.resultBackend())?.capabilities.schema?.status()) ?? null;
    if (schema !== null && !isCurrent(schema)) {
      return { urls, reachable: true, error: describeSchema(schema), schema };
    }
    await app.connectResults({ retryForMs: 0 });
    return { urls, reachable: true, error: null, schema };
  } catch (error) {
    return { urls, reachable: schema !== null, error: messageOf(error), schema };
  }
}

function describe({ app, broker, results }: Status, colors: Colors): string[] {
  const rows = [
    [colors.dim('app'), app],
    [colors.dim('broker'), broker.urls.join(', '), verdict(broker)],
    results === null
      ? [colors.dim('database'), 'none: results are not stored']
      : [colors.dim('database'), results.urls.join(', '), `${verdict(results)}${schemaOf(results)}`],
  ];
  return [...alignColumns(rows), ...describeQueues(broker.queues, colors)];

  function verdict({ reachable, error }: Reachability): string {
    if (error !== null) return `${colors.red(reachable ? 'reachable, but' : 'unreachable:')} ${error}`;
    return colors.green('reachable');
  }
}

function schemaOf({ error, schema }: NonNullable<Status['results']>): string {
  return error !== null || schema === null ? '' : `, ${describeSchema(schema)}`;
}

function describeQueues(queues: readonly QueueStatus[], colors: Colors): string[] {
  if (queues.length === 0) return [];
  const header = ['QUEUE', 'MESSAGES', 'CONSUMERS'].map((title) => colors.dim(title));
  const rows = queues.map(({ name, depth }) =>
    depth === null
      ? [name, colors.dim('not declared yet')]
      : [
          name,
          String(depth.messages).padStart('MESSAGES'.length),
          String(depth.consumers).padStart('CONSUMERS'.length),
        ],
  );
  return ['', ...alignColumns([header, ...rows])];
}
