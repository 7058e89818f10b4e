import { hostname } from 'node:os';
import { maskUrl, workerQueues, type LoadedApp } from '@lovage/core';
import { resolveLimits, type WorkerOptions } from '@lovage/worker';
import { cliVersion } from './cli-version.js';
import { alignColumns } from './table.js';
import type { Colors } from './terminal.js';

/** What a worker is about to do. Passwords are masked. */
export interface Banner {
  readonly version: string;
  readonly app: string;
  readonly host: string;
  readonly pid: number;
  readonly broker: string;
  /** null: nothing is stored. */
  readonly results: string | null;
  readonly queues: readonly string[];
  readonly concurrency: number;
  readonly prefetch: number;
  readonly tasks: readonly string[];
}

/** Reads the app and the worker's options; connects to nothing. LOVAGE_USAGE for a number that cannot be. */
export function bannerOf({ settings, tasks }: LoadedApp, options: WorkerOptions): Banner {
  const { broker, results } = settings;
  const { concurrency, prefetch } = resolveLimits(options, settings);
  return {
    version: cliVersion(),
    app: settings.name,
    host: hostname(),
    pid: process.pid,
    broker: broker.urls.map(maskUrl).join(', ') || 'a transport of the app’s own',
    results: results === null ? null : results.url === '' ? 'a backend of the app’s own' : maskUrl(results.url),
    queues: options.queues ?? workerQueues(settings, tasks.list()),
    concurrency,
    prefetch,
    tasks: tasks.list().map(({ name }) => name),
  };
}

/** The banner for a person. */
export function describeBanner(banner: Banner, colors: Colors): string[] {
  const rows = alignColumns([
    [colors.dim('app'), banner.app],
    [colors.dim('broker'), banner.broker],
    [colors.dim('results'), banner.results ?? 'none: results are not stored'],
    [colors.dim('queues'), banner.queues.join(', ')],
    [colors.dim('concurrency'), `${banner.concurrency} (prefetch ${banner.prefetch})`],
    ...(banner.tasks.length === 0 ? [''] : banner.tasks).map((task, index) => [
      index === 0 ? colors.dim('tasks') : '',
      task === '' ? colors.yellow('none: name their packages with app.autodiscover([…])') : colors.cyan(task),
    ]),
  ]);
  return [
    '',
    ` ${colors.bold(colors.green('lovage'))} ${banner.version}  ${colors.dim(`${banner.host}:${banner.pid}`)}`,
    '',
    ...rows.map((row) => `   ${row}`),
    '',
  ];
}
