import { LovageError, expected, show } from '../errors/lovage-error.js';
import {
  CONFIG_GROUPS,
  CONFIG_KEYS,
  CONFIG_PATHS,
  type ConfigPath,
  type ConfigValue,
  configKey,
  envNameOf,
  isConfigPath,
} from './config-keys.js';
import { hasMethods, isRecord } from './config-type.js';
import { nearest } from './nearest.js';
import { signingSettings } from './signing-settings.js';
import type { Settings, TlsSettings } from './settings.js';

/** What one source of configuration sets, checked. */
export interface ConfigLayer {
  /** Where it came from, for messages: `new Lovage()`, a file's name. */
  readonly origin: string;
  readonly values: ReadonlyMap<ConfigPath, unknown>;
}

export interface ReadLayerOptions {
  /**
   * With it, `source` is flat and keys are LOVAGE_BROKER, LOVAGE_WORKER_CONCURRENCY, …: an environment, or an object of settings. Keys outside
   * the namespace are passed over, and so are empty texts. Without it, `source` is nested: `{ broker: …, worker: { concurrency: … } }`.
   */
  readonly namespace?: string;
  /** Names the source in an error. */
  readonly origin: string;
}

/** Checks one source of configuration. Throws LOVAGE_CONFIG naming every bad key and value, with the nearest right key; no password is shown. */
export function readLayer(source: object, options: ReadLayerOptions): ConfigLayer {
  const problems: string[] = [];
  const namespace = options.namespace;
  const entries =
    namespace === undefined
      ? groupEntries({ group: '', value: source, what: '' }, problems)
      : namespaceEntries(source, checkedNamespace(namespace), problems);
  const values = new Map<ConfigPath, unknown>();
  const setBy = new Map<string, string>();
  for (const { path, value, what } of entries) {
    const key = configKey(path);
    const slot = key.slot ?? path;
    const rival = setBy.get(slot);
    if (rival !== undefined) problems.push(`${rival} and ${what} exclude one another: set one of them`);
    setBy.set(slot, what);
    values.set(path, key.type.read(value, what, problems));
  }
  if (problems.length > 0) throw invalid(options.origin, problems);
  return { origin: options.origin, values };
}

/** Puts layers together, the later ones over the earlier: every key present, defaults where nobody set one. Immutable. Throws LOVAGE_CONFIG for keys of which none can be the one that signs. */
export function resolveSettings(layers: readonly ConfigLayer[]): Settings {
  const values = new Map<ConfigPath, unknown>();
  for (const layer of layers) {
    for (const [path, value] of layer.values) {
      // A URL set later takes the place of a transport set before, and the reverse.
      for (const rival of rivalsOf(path)) values.delete(rival);
      values.set(path, value);
    }
  }
  const get = <P extends ConfigPath>(path: P): ConfigValue<P> =>
    values.has(path) ? (values.get(path) as ConfigValue<P>) : CONFIG_KEYS[path].default;

  const tls = (group: 'broker' | 'results'): TlsSettings | null => {
    const settings = {
      caFile: get(`${group}.tls.caFile`),
      certFile: get(`${group}.tls.certFile`),
      keyFile: get(`${group}.tls.keyFile`),
      serverName: get(`${group}.tls.serverName`),
    };
    return Object.values(settings).every((value) => value === null) ? null : Object.freeze(settings);
  };
  const brokerUrls = get('broker.url') ?? Object.freeze([]);
  const resultsUrl = RESULTS.some((path) => values.has(path)) ? get('results.url') : databaseOf(brokerUrls);
  const stored = resultsUrl !== null || get('results.backend') !== null || get('results.pool') !== null;
  // One URL, one server: what is said of the results holds for the broker too, and the reverse for TLS and credentials.
  const isOneUrl = resultsUrl !== null && resultsUrl === brokerUrls[0];
  const [brokerTls, resultsTls] = [tls('broker'), tls('results')];

  return Object.freeze({
    name: get('name'),
    defaultQueue: get('defaultQueue'),
    queues: get('queues'),
    routes: get('routes'),
    acceptContent: get('acceptContent'),
    maxMessageSize: get('maxMessageSize'),
    signing: signingSettings({
      keys: get('signing.keys'),
      signWith: get('signing.signWith'),
      required: get('signing.required'),
    }),
    broker: Object.freeze({
      urls: brokerUrls,
      transport: get('broker.transport'),
      heartbeatMs: get('broker.heartbeat'),
      connectTimeoutMs: get('broker.connectTimeout'),
      connectRetryForMs: get('broker.connectRetryFor'),
      publishTimeoutMs: get('broker.publishTimeout'),
      consumerTimeoutMs: get('broker.consumerTimeout'),
      confirmWindow: get('broker.confirmWindow'),
      schema: get('broker.schema') ?? get('results.schema'),
      listenUrl: get('broker.listenUrl') ?? (isOneUrl ? get('results.listenUrl') : null),
      prepare: get('broker.prepare') ?? (isOneUrl ? get('results.prepare') : true),
      credentials: get('broker.credentials') ?? (isOneUrl ? get('results.credentials') : null),
      tls: brokerTls ?? (isOneUrl ? resultsTls : null),
    }),
    results: !stored
      ? null
      : Object.freeze({
          url: resultsUrl ?? '',
          backend: get('results.backend'),
          pool: get('results.pool'),
          schema: get('results.schema'),
          expiresMs: get('results.expires'),
          maxSize: get('results.maxSize'),
          listenUrl: get('results.listenUrl'),
          prepare: get('results.prepare'),
          poolSize: get('results.poolSize'),
          synchronousCommit: get('results.synchronousCommit'),
          connectTimeoutMs: get('results.connectTimeout'),
          connectRetryForMs: get('results.connectRetryFor'),
          credentials: get('results.credentials') ?? (isOneUrl ? get('broker.credentials') : null),
          tls: resultsTls ?? (isOneUrl ? brokerTls : null),
        }),
    worker: Object.freeze({
      concurrency: get('worker.concurrency'),
      pool: get('worker.pool'),
      threads: get('worker.threads'),
      prefetch: get('worker.prefetch'),
      queues: get('worker.queues'),
      shutdownTimeoutMs: get('worker.shutdownTimeout'),
      unknownTaskGraceMs: get('worker.unknownTaskGrace'),
      blockedLoopWarningMs: get('worker.blockedLoopWarning'),
      maxStarts: get('worker.maxStarts'),
      trackReceived: get('worker.trackReceived'),
      trackStarted: get('worker.trackStarted'),
    }),
    revocations: Object.freeze({ keepMs: get('revocations.keep'), graceMs: get('revocations.grace') }),
  });
}

const RESULTS: readonly ConfigPath[] = ['results.url', 'results.backend', 'results.pool'];

/** Where results go if nobody says: beside the messages, if these are in a database. */
function databaseOf(urls: readonly string[]): string | null {
  const url = urls[0];
  return url !== undefined && /^postgres(ql)?:/i.test(url) ? url : null;
}

function rivalsOf(path: ConfigPath): readonly ConfigPath[] {
  const { slot } = configKey(path);
  return slot === null ? [] : CONFIG_PATHS.filter((other) => other !== path && configKey(other).slot === slot);
}

/** A value on its way to a key; `what` is the name under which the user wrote it. */
interface Entry {
  readonly path: ConfigPath;
  readonly value: unknown;
  readonly what: string;
}

interface Place {
  readonly group: string;
  readonly value: unknown;
  readonly what: string;
}

/** The entries of a nested object, or of the one value that stands for its group (`broker: 'amqp://…'`). */
function groupEntries({ group, value, what }: Place, problems: string[]): readonly Entry[] {
  const path = shorthandOf(group, value);
  if (path !== null) return [{ path, value, what }];
  if (!isRecord(value)) {
    // A text may be a secret that stands in the wrong key.
    const got = typeof value === 'string' ? 'a text' : show(value);
    problems.push(`expected ${what === '' ? 'the configuration' : what} to be an object of settings, got ${got}`);
    return [];
  }
  return Object.entries(value).flatMap(([name, item]): readonly Entry[] => {
    if (item === undefined) return [];
    const inner = group === '' ? name : `${group}.${name}`;
    const innerWhat = what === '' ? name : `${what}.${name}`;
    if (isConfigPath(inner)) return [{ path: inner, value: item, what: innerWhat }];
    if (CONFIG_GROUPS.has(inner)) return groupEntries({ group: inner, value: item, what: innerWhat }, problems);
    problems.push(
      unknownKey(
        innerWhat,
        suggestion(inner, (candidate) => candidate),
      ),
    );
    return [];
  });
}

/** The key that a value given for the whole group stands for; null: it is an object of the group's own keys. */
function shorthandOf(group: string, value: unknown): ConfigPath | null {
  if (group === 'broker') {
    if (hasMethods(value, ['publish', 'consume'])) return 'broker.transport';
    return isRecord(value) ? null : 'broker.url';
  }
  if (group === 'results') {
    if (hasMethods(value, ['commit', 'waitFor'])) return 'results.backend';
    if (hasMethods(value, ['query', 'connect'])) return 'results.pool';
    return isRecord(value) ? null : 'results.url';
  }
  return null;
}

function namespaceEntries(source: object, namespace: string, problems: string[]): readonly Entry[] {
  const places = new Map([...CONFIG_PATHS, ...CONFIG_GROUPS].map((path) => [envNameOf(path, namespace), path]));
  return Object.entries(source).flatMap(([name, value]): readonly Entry[] => {
    if (!name.startsWith(`${namespace}_`) || value === undefined || value === '') return [];
    const path = places.get(name);
    if (path === undefined) {
      if (!isServiceLink(name, value)) {
        problems.push(
          unknownKey(
            name,
            suggestion(name, (candidate) => envNameOf(candidate, namespace)),
          ),
        );
      }
      return [];
    }
    return isConfigPath(path)
      ? [{ path, value, what: name }]
      : groupEntries({ group: path, value, what: name }, problems);
  });
}

/**
 * Kubernetes and Docker links put SHOP_PORT, SHOP_SERVICE_HOST, SHOP_PORT_80_TCP_ADDR … into the environment of every container beside
 * a service named `shop`: nobody's misspelling, so no reason not to start. No key of ours ends like these.
 */
function isServiceLink(name: string, value: unknown): boolean {
  if (typeof value !== 'string') return false;
  if (/_PORT$/.test(name) && /^(tcp|udp|sctp):\/\//.test(value)) return true;
  return /(_SERVICE_HOST|_SERVICE_PORT(_\w+)?|_PORT_\d+_(TCP|UDP|SCTP)(_(ADDR|PORT|PROTO))?)$/.test(name);
}

function checkedNamespace(namespace: string): string {
  if (/^[A-Za-z][A-Za-z0-9_]*$/.test(namespace) && !namespace.endsWith('_')) return namespace;
  throw new LovageError(
    'LOVAGE_USAGE',
    expected('namespace', "a word such as 'LOVAGE', without the underscore that follows it", namespace),
  );
}

/** The right key for a wrong one: another system's name of it, or the nearest; in the form that `nameOf` gives. */
function suggestion(wrong: string, nameOf: (path: string) => string): string | null {
  const shown = (path: ConfigPath): string => nameOf(configKey(path).short ?? path);
  const names = new Map<string, string>();
  for (const path of CONFIG_PATHS) {
    const { celery } = configKey(path);
    if (celery !== null) names.set(nameOf(celery), shown(path));
    if (celery !== null) names.set(nameOf(camelCase(celery)), shown(path));
  }
  for (const path of CONFIG_PATHS) {
    names.set(nameOf(path), shown(path)).set(shown(path), shown(path));
    // `concurrency` for `worker.concurrency`: the group forgotten.
    const last = nameOf(path.slice(path.lastIndexOf('.') + 1));
    if (!names.has(last)) names.set(last, shown(path));
  }
  for (const group of CONFIG_GROUPS) names.set(nameOf(group), nameOf(group));
  return names.get(nearest(wrong, names.keys()) ?? '') ?? null;
}

function camelCase(name: string): string {
  return name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

function unknownKey(name: string, guess: string | null): string {
  const advice = guess === null ? 'docs/reference/configuration.md lists them' : `did you mean ${guess}?`;
  return `${name} is not a configuration key; ${advice}`;
}

function invalid(origin: string, problems: readonly string[]): LovageError {
  const text = problems.length === 1 ? ` ${problems[0]}` : problems.map((problem) => `\n  - ${problem}`).join('');
  return new LovageError('LOVAGE_CONFIG', `${origin}:${text}`);
}
