import { hostname } from 'node:os';
import { maskUrl, type LoadedApp, type PoolName, type Settings } from '@lovage/core';
import { workerInfoOf, type WorkerOptions } from '@lovage/worker';
import { cliVersion } from './cli-version.js';
import { alignColumns } from './table.js';
import type { Colors } from './terminal.js';

/** What is about to run, and where. Passwords are masked. */
export interface ServiceBanner {
  readonly version: string;
  readonly app: string;
  readonly host: string;
  readonly pid: number;
  readonly broker: string;
  /** null: nothing is stored. */
  readonly results: string | null;
}

/** What a worker is about to do. */
export interface WorkerBanner extends ServiceBanner {
  readonly queues: readonly string[];
  readonly concurrency: number;
  readonly pool: PoolName;
  /** null: no task needs any. */
  readonly threads: number | null;
  /** null: it adapts to the tasks. */
  readonly prefetch: number | null;
  readonly tasks: readonly string[];
  /** How many processes do it; absent: the one that says so. */
  readonly processes?: number;
}

/** Reads the app; connects to nothing. */
export function serviceBannerOf({ settings }: LoadedApp): ServiceBanner {
  const { broker, results } = settings;
  return {
    version: cliVersion(),
    app: settings.name,
    host: hostname(),
    pid: process.pid,
    broker: describeBroker(broker),
    results: results === null ? null : results.url === '' ? 'a backend of the app’s own' : maskUrl(results.url),
  };
}

function describeBroker({ urls, transport }: Settings['broker']): string {
  if (urls.length > 0) return urls.map(maskUrl).join(', ');
  return transport === null ? 'none' : 'a transport of the app’s own';
}

/** Reads the app and the worker's options; connects to nothing. LOVAGE_USAGE for a number that cannot be. */
export function workerBannerOf(loaded: LoadedApp, options: WorkerOptions): WorkerBanner {
  const { queues, concurrency, pool, threads, prefetch, tasks } = workerInfoOf(loaded, options);
  return { ...serviceBannerOf(loaded), queues, concurrency, pool, threads, prefetch, tasks };
}

/** The rows of a worker's banner that are its own. */
export function workerRows(
  { queues, concurrency, pool, threads, prefetch, tasks, processes }: WorkerBanner,
  colors: Colors,
): string[][] {
  return [
    [colors.dim('queues'), queues.join(', ')],
    ...(processes === undefined ? [] : [[colors.dim('processes'), String(processes)]]),
    [
      colors.dim('concurrency'),
      `${concurrency}${processes === undefined ? '' : ' in each'} (prefetch ${prefetch ?? 'adaptive'})`,
    ],
    ...(threads === null
      ? []
      : [[colors.dim('threads'), `${threads}${pool === 'threads' ? ' (the default pool)' : ''}`]]),
    ...(tasks.length === 0 ? [''] : tasks).map((task, index) => [
      index === 0 ? colors.dim('tasks') : '',
      task === '' ? colors.yellow('none: name their packages with app.autodiscover([…])') : colors.cyan(task),
    ]),
  ];
}

/** The banner for a person. `rows` follow those that every service has. */
export function describeBanner(
  banner: ServiceBanner,
  { rows, colors }: { readonly rows: readonly (readonly string[])[]; readonly colors: Colors },
): string[] {
  const lines = alignColumns([
    [colors.dim('app'), banner.app],
    [colors.dim('broker'), banner.broker],
    [colors.dim('results'), banner.results ?? 'none: results are not stored'],
    ...rows,
  ]);
  return [
    '',
    ` ${colors.bold(colors.green('lovage'))} ${banner.version}  ${colors.dim(`${banner.host}:${banner.pid}`)}`,
    '',
    ...lines.map((line) => `   ${line}`),
    '',
  ];
}
