import { isUtf8 } from 'node:buffer';
import type { Options } from 'amqplib';
import type { Random } from '../random.js';

/** A message as some AMQP client might send it, and what is known of it. */
export interface Mutant {
  readonly options: Options.Publish;
  readonly body: Buffer;
  /** The id that its record has, if it gets one. null: nobody could read it. */
  readonly id: string | null;
  /** It asks that its result is ignored: it may leave nothing behind. */
  readonly isIgnored: boolean;
}

/** By which a message is known again, wherever it ends. */
export const MARK = 'x-fuzz';

type Headers = Record<string, unknown>;

interface Draft {
  readonly headers: Headers;
  readonly properties: Options.Publish;
  body: Buffer;
}

const TASKS = ['fuzz.sum', 'fuzz.echo', 'fuzz.order', 'fuzz.again'];

/** Those that mean something to Lovage, to Celery, or to RabbitMQ; none on whose account the broker refuses the message or copies it. */
const HEADERS = [
  ...['lang', 'task', 'id', 'shadow', 'eta', 'expires', 'group', 'group_index', 'retries', 'timelimit', 'root_id'],
  ...['parent_id', 'argsrepr', 'kwargsrepr', 'origin', 'ignore_result', 'stamped_headers', 'stamps', 'compression'],
  ...['attempt', 'republished', 'unique', 'tracked', 'unknown_since', 'x-delivery-count', 'x-lovage-reason'],
  ...['__proto__', 'constructor', 'toString', '', '!', 'any'],
];

const TYPED = [
  { '!': 'int8', value: -128 },
  { '!': 'short', value: -32_768 },
  { '!': 'int32', value: 2 ** 31 - 1 },
  { '!': 'int64', value: 2 ** 53 },
  { '!': 'float', value: 0.1 },
  { '!': 'double', value: -1e-300 },
  { '!': 'double', value: 1e308 },
  { '!': 'timestamp', value: 4_102_444_800 },
  { '!': 'decimal', value: { places: 200, digits: 1 } },
];

const TEXTS = [
  ...['', ' ', '0', '-1', 'true', 'null', 'NaN', '1e9', 'not a date', '2999-01-01T00:00:00Z', '2020-02-30T25:61:61Z'],
  ...['+275760-09-13T00:00:00.000Z', '0000-00-00', 'a\0b', '\ud800', '\u202e', 'é'.repeat(200), 'x'.repeat(300)],
  ...["'; DROP TABLE lovage.outbox; --", '%s%n', '../../etc/passwd', '{"a":1}', 'application/x-python-serialize'],
];

/** The message with this number: one that could be run, and from one to three things done to it. */
export function mutant(random: Random, n: number): Mutant {
  const id = `fuzz-${n}`;
  const draft: Draft = {
    headers: { lang: 'py', task: random.pick(TASKS), id, root_id: id, parent_id: null, group: null, retries: 0 },
    properties: { contentType: 'application/json', contentEncoding: 'utf-8', correlationId: id },
    body: Buffer.from(JSON.stringify([[argument(random)], {}, { callbacks: null, chain: null, chord: null }])),
  };
  for (let left = 1 + random.below(3); left > 0; left--) random.pick(MUTATIONS)(draft, random);
  const { headers, properties, body } = draft;
  return {
    options: { persistent: true, ...properties, headers: { ...headers, [MARK]: n } },
    body,
    id: idOf(headers['id'] ?? properties.correlationId),
    isIgnored: headers['ignore_result'] === true,
  };
}

/** Most leave a message that can be read: what is dead at once has not come far. */
const MUTATIONS = [mutateHeader, mutateHeader, mutateJson, mutateJson, mutateJson, mutateBody, mutateProperty];

function mutateHeader({ headers }: Draft, random: Random): void {
  const name = random.pick(HEADERS);
  const others = Object.keys(headers);
  switch (random.below(4)) {
    case 0:
      delete headers[random.pick(others)];
      return;
    case 1:
      set(headers, random.pick(others), value(random));
      return;
    case 2:
      set(headers, name, headers[random.pick(others)]);
      return;
    default:
      set(headers, name, value(random));
  }
}

/** An own key, also where it is `__proto__`. */
function set(headers: Headers, name: string, to: unknown): void {
  Object.defineProperty(headers, name, { value: to, enumerable: true, configurable: true, writable: true });
}

function mutateBody(draft: Draft, random: Random): void {
  const { body } = draft;
  const at = random.below(body.length + 1);
  switch (random.below(5)) {
    case 0: {
      const flipped = Buffer.from(body);
      for (let left = 1 + random.below(4); left > 0 && flipped.length > 0; left--)
        flipped.writeUInt8(random.below(256), random.below(flipped.length));
      draft.body = flipped;
      return;
    }
    case 1:
      draft.body = body.subarray(0, at);
      return;
    case 2:
      draft.body = Buffer.concat([body.subarray(0, at), bytes(random), body.subarray(at)]);
      return;
    case 3:
      draft.body = Buffer.concat([body, body.subarray(at)]);
      return;
    default:
      draft.body = bytes(random);
  }
}

/** Changes the document, not its text: what comes of it can be parsed. */
function mutateJson(draft: Draft, random: Random): void {
  const parts: unknown[] = [
    [argument(random), argument(random)].slice(0, random.below(3)),
    random.chance(0.3) ? { value: argument(random) } : {},
    random.chance(0.3) ? { chain: [argument(random)], chord: argument(random) } : null,
  ];
  if (random.chance(0.2)) parts[random.below(3)] = argument(random);
  if (random.chance(0.1)) parts.length = random.below(3);
  draft.body = Buffer.from(JSON.stringify(parts));
}

function mutateProperty({ properties }: Draft, random: Random): void {
  const text = random.pick(TEXTS).slice(0, 80);
  switch (random.below(9)) {
    case 0:
      return void Object.assign(properties, { contentType: text });
    case 1:
      return void Object.assign(properties, { contentEncoding: text });
    case 2:
      return void Object.assign(properties, { correlationId: text });
    case 3:
      return void Object.assign(properties, { replyTo: text });
    case 4:
      return void Object.assign(properties, { priority: random.below(256) });
    case 5:
      // Some leave the queue before a worker sees them.
      return void Object.assign(properties, { expiration: String(random.below(200)) });
    case 6:
      return void Object.assign(properties, { timestamp: random.below(2 ** 31), type: text, appId: text });
    case 7:
      return void Object.assign(properties, { messageId: text });
    default:
      return void Object.assign(properties, { persistent: false });
  }
}

function value(random: Random, depth = 0): unknown {
  switch (random.below(depth > 3 ? 6 : 8)) {
    case 0:
      return random.pick([null, true, false]);
    case 1:
      return random.pick([-1, 0, 1, 255, 2 ** 31 - 1, 2 ** 31, 1_700_000_000, 0.5]);
    case 2:
    case 3:
      return random.pick(TEXTS);
    case 4:
      return random.pick(TYPED);
    case 5:
      return bytes(random);
    case 6:
      return Array.from({ length: random.below(4) }, () => value(random, depth + 1));
    default:
      return Object.fromEntries(
        Array.from({ length: random.below(4) }, () => [
          random.pick(['key', 'scope', 'a', 'b']),
          value(random, depth + 1),
        ]),
      );
  }
}

function argument(random: Random, depth = 0): unknown {
  switch (random.below(depth > 4 ? 5 : 9)) {
    case 0:
      return random.pick([null, true, 0, -0.5, 2 ** 53, 1e308, []]);
    case 1:
    case 2:
      return random.pick(TEXTS);
    case 3:
      return { quantity: random.pick([1, 0.5, '2', null]) };
    case 4:
      return {
        __type__: random.pick(['datetime', 'bytes', 'object', 'bigint', 'map', 'none']),
        __value__: random.pick(TEXTS),
      };
    case 5:
      return Array.from({ length: random.below(4) }, () => argument(random, depth + 1));
    case 6:
      return JSON.parse(
        `{"__proto__": ${JSON.stringify(argument(random, depth + 1))}, "constructor": {"prototype": {"polluted": 1}}}`,
      );
    case 7:
      return { __type__: random.pick(['datetime', 'bytes', 'object', 'map']), __value__: argument(random, depth + 1) };
    default:
      return { a: argument(random, depth + 1), b: argument(random, depth + 1) };
  }
}

function bytes(random: Random): Buffer {
  return Buffer.from(Array.from({ length: random.below(24) }, () => random.below(256)));
}

/** As the wire hands it over: text, or bytes as text. */
function idOf(id: unknown): string | null {
  if (Buffer.isBuffer(id)) return id.toString(isUtf8(id) ? 'utf8' : 'base64');
  return typeof id === 'string' ? Buffer.from(id).toString() : null;
}
