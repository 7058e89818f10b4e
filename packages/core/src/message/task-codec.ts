import { isUtf8 } from 'node:buffer';
import { LovageError, expected, show } from '../errors/lovage-error.js';
import { SIGNATURE_HEADER } from '../security/message-signer.js';
import { parseUniqueHeader, uniqueHeader } from '../outbox/unique-key.js';
import { isoText, parseIsoDate } from '../payload/iso-date.js';
import { NAME_LENGTH, isName } from '../payload/name.js';
import { parseJson } from '../payload/parse-json.js';
import { sanitizeText } from '../payload/storable.js';
import { LONGEST_TIME_LIMIT_MS, type TimeLimits } from '../task/time-limits.js';
import { JSON_CONTENT, type MessageRules, OWN_MESSAGE } from './message-rules.js';
import type { Headers, HeaderValue, Message } from './message.js';
import { bodyProblem } from './sendable.js';
import type { TaskEnvelope, TaskRequest } from './task-request.js';
import { isTransitHeader } from './transit-header.js';

/** Celery's limit for argsrepr and kwargsrepr. */
const REPR_LENGTH = 1024;

const EMBED = '{"callbacks": null, "errbacks": null, "chain": null, "chord": null}';

/** What one sending of a call says of itself; the next one does not inherit it. */
const PER_SENDING: ReadonlySet<string> = new Set([
  'eta',
  'retries',
  'attempt',
  'republished',
  'unknown_since',
  SIGNATURE_HEADER,
  '__proto__',
]);

const NO_HEADERS: Headers = Object.freeze({});

/** The headers of protocol 2 and our own six; every other is the caller's. */
const PROTOCOL_HEADERS: ReadonlySet<string> = new Set([
  'lang',
  'task',
  'id',
  'shadow',
  'eta',
  'expires',
  'group',
  'group_index',
  'retries',
  'timelimit',
  'root_id',
  'parent_id',
  'argsrepr',
  'kwargsrepr',
  'origin',
  'ignore_result',
  'replaced_task_nesting',
  'stamped_headers',
  'stamps',
  'compression',
  'attempt',
  'republished',
  'unique',
  'tracked',
  'unknown_since',
  SIGNATURE_HEADER,
]);

/** True for a header that a caller cannot set: the protocol's, or one that is written on the way. */
export function isReservedHeader(name: string): boolean {
  return PROTOCOL_HEADERS.has(name) || name === '__proto__' || isTransitHeader(name);
}

/**
 * One call as a message of Celery's task protocol 2 (celery/app/amqp.py:as_task_v2), which Celery's workers read too. `argsJson` and
 * `kwargsJson` are the texts of `encodeArgs` and `encodeKwargs`. The protocol's optional headers are there where they say something; beside them `attempt` where that is
 * not `retries`, and `republished`, `unique`, `tracked` and `unknown_since` where there is something to tell. Throws LOVAGE_USAGE if one of the caller's headers is reserved.
 */
export function encodeTask(envelope: TaskEnvelope, argsJson: string, kwargsJson: string): Message {
  for (const name in envelope.headers) {
    if (!isReservedHeader(name)) continue;
    throw new LovageError(
      'LOVAGE_USAGE',
      `expected a header of the caller's own, got ${show(name)}, which is reserved`,
    );
  }
  const headers: Record<string, HeaderValue> = {
    lang: 'js',
    task: envelope.task,
    id: envelope.id,
    root_id: envelope.rootId,
    parent_id: envelope.parentId,
    group: envelope.groupId,
    retries: envelope.retries,
    argsrepr: clip(argsJson),
    origin: envelope.origin,
  };
  // The protocol's optional headers only where they say something: each costs the broker and the worker as much as an argument.
  if (kwargsJson !== '{}') headers['kwargsrepr'] = clip(kwargsJson);
  if (envelope.shadow !== null) headers['shadow'] = envelope.shadow;
  if (envelope.eta !== null) headers['eta'] = isoText(envelope.eta);
  if (envelope.expires !== null) headers['expires'] = isoText(envelope.expires);
  if (envelope.ignoreResult !== null) headers['ignore_result'] = envelope.ignoreResult;
  if (envelope.timeLimits !== null) headers['timelimit'] = timeLimitHeader(envelope.timeLimits);
  if (envelope.attempt !== envelope.retries) headers['attempt'] = envelope.attempt;
  if (envelope.republished) headers['republished'] = true;
  if (envelope.unique !== null) headers['unique'] = uniqueHeader(envelope.unique);
  if (envelope.tracked) headers['tracked'] = true;
  if (envelope.unknownSince !== null) headers['unknown_since'] = isoText(envelope.unknownSince);
  Object.assign(headers, envelope.headers);
  return {
    queue: envelope.queue,
    headers,
    contentType: JSON_CONTENT,
    contentEncoding: 'utf-8',
    correlationId: envelope.id,
    replyTo: envelope.replyTo,
    priority: envelope.priority,
    body: Buffer.from(`[${argsJson}, ${kwargsJson}, ${EMBED}]`, 'utf8'),
  };
}

/**
 * Reads a task message of protocol 2, from whichever producer. What producers leave out has Celery's default (`attempt`: the retries;
 * `root_id`: the own id); times without an offset are UTC. Arguments stay wire values, tags in place. Throws LOVAGE_MESSAGE with the
 * reason if this is no such message, if the rules forbid to read it, or if it asks for what cannot be done here (compression, follow-ups).
 */
export function decodeTask(message: Message, rules: MessageRules = OWN_MESSAGE): TaskRequest {
  const { headers } = message;
  const distrust = bodyProblem(message, rules.maxSize) ?? rules.signer?.refusalOf(message) ?? null;
  if (distrust !== null) throw refuse(distrust);
  const task = name(headers['task'], 'the task header', 'it is no message of task protocol 2');
  const id = name(headers['id'] ?? message.correlationId, 'the id header', 'a task needs an id');
  checkContent(message, rules.acceptContent);
  const [args, kwargs] = bodyOf(message);
  const retries = count(headers['retries'], 'the retries header', 0);
  return {
    id,
    task,
    queue: message.queue,
    attempt: count(headers['attempt'], 'the attempt header', retries),
    retries,
    expires: instant(headers['expires'], 'the expires header'),
    eta: instant(headers['eta'], 'the eta header'),
    parentId: optionalText(headers['parent_id']),
    // One string and not two of the same, for as long as the task is held.
    rootId: headers['root_id'] === id ? id : (optionalText(headers['root_id']) ?? id),
    groupId: optionalText(headers['group']),
    priority: message.priority,
    shadow: optionalText(headers['shadow']),
    ignoreResult: typeof headers['ignore_result'] === 'boolean' ? headers['ignore_result'] : null,
    timeLimits: timeLimits(headers['timelimit']),
    replyTo: message.replyTo,
    republished: headers['republished'] === true,
    unique: parseUniqueHeader(headers['unique']),
    tracked: headers['tracked'] === true,
    unknownSince: instant(headers['unknown_since'], 'the unknown_since header'),
    origin: optionalText(headers['origin']) ?? '',
    headers: callerHeaders(headers),
    args,
    kwargs,
  };
}

/** What is different when a call is sent once more. */
export interface Resending {
  readonly attempt: number;
  readonly retries: number;
  readonly unknownSince: Date | null;
}

/** The same call once more: its body and the sender's headers as they were, without what was written on the way, `eta` and the signature. */
export function resend(message: Message, { attempt, retries, unknownSince }: Resending): Message {
  const headers: Record<string, HeaderValue> = {};
  for (const [name, value] of Object.entries(message.headers)) {
    if (!PER_SENDING.has(name) && !isTransitHeader(name)) headers[name] = value;
  }
  headers['retries'] = retries;
  if (attempt !== retries) headers['attempt'] = attempt;
  if (unknownSince !== null) headers['unknown_since'] = isoText(unknownSince);
  return { ...message, headers };
}

/** The task's id if the message has a usable one, even where `decodeTask` refuses it. */
export function taskIdOf(message: Message): string | null {
  const id = message.headers['id'] ?? message.correlationId;
  return isName(id) ? id : null;
}

function checkContent(message: Message, accepted: readonly string[]): void {
  if (!accepted.includes(message.contentType) && !accepted.includes(mimeType(message.contentType))) {
    throw refuse(
      `content type ${show(message.contentType)} is not accepted (acceptContent): send ${accepted.join(' or ')}`,
    );
  }
  const encoding = message.contentEncoding.toLowerCase();
  if (encoding !== 'utf-8' && encoding !== 'utf8' && encoding !== '') {
    throw refuse(`content encoding ${show(message.contentEncoding)} is not accepted: send utf-8`);
  }
  const compression = message.headers['compression'];
  if (compression !== undefined && compression !== null) {
    throw refuse(`compression ${show(compression)} is not accepted: send the body as it is`);
  }
}

function mimeType(contentType: string): string {
  return contentType.split(';', 1)[0]?.trim().toLowerCase() ?? '';
}

function bodyOf(message: Message): readonly [readonly unknown[], Readonly<Record<string, unknown>>] {
  const { body } = message;
  if (!isUtf8(body)) throw refuse('expected the body to be UTF-8');
  const text = Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('utf8');
  // What JavaScript wrote holds no integer that was exact and is not any more.
  const parsed = parseJson(text, 'the body', { exactIntegers: message.headers['lang'] !== 'js' });
  if (!Array.isArray(parsed)) throw refuse(expected('the body', 'an array [args, kwargs, embed]', parsed));
  const [args, kwargs, embed] = parsed as readonly unknown[];
  if (!Array.isArray(args)) throw refuse(expected('args (the first item of the body)', 'an array', args));
  if (!isObject(kwargs)) throw refuse(expected('kwargs (the second item of the body)', 'an object', kwargs));
  checkEmbed(embed);
  return [args, kwargs];
}

/** Dropped in silence, follow-ups would be lost work. */
function checkEmbed(embed: unknown): void {
  if (embed === undefined || embed === null) return;
  if (!isObject(embed)) throw refuse(expected('embed (the third item of the body)', 'an object', embed));
  const carried = ['callbacks', 'errbacks', 'chain', 'chord'].filter((key) => {
    const value = embed[key];
    return Array.isArray(value) ? value.length > 0 : value !== undefined && value !== null;
  });
  if (carried.length === 0) return;
  throw refuse(`it carries follow-ups (${carried.join(', ')}) which this version cannot run: send each task by itself`);
}

function callerHeaders(headers: Headers): Headers {
  let own: Record<string, HeaderValue> | undefined;
  for (const key in headers) {
    const value = headers[key];
    if (value !== undefined && !isReservedHeader(key)) (own ??= {})[key] = value;
  }
  return own ?? NO_HEADERS;
}

function name(value: unknown, what: string, why: string): string {
  if (isName(value)) return value;
  throw refuse(`${why}: ${expected(what, `1 to ${NAME_LENGTH} characters that can be stored`, value)}`);
}

function count(value: unknown, what: string, absent: number): number {
  if (value === undefined || value === null) return absent;
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= 2 ** 31 - 1) return value;
  throw refuse(expected(what, 'an integer ≥ 0', value));
}

function instant(value: unknown, what: string): Date | null {
  if (value === undefined || value === null || value === '') return null;
  const date = typeof value === 'string' ? parseIsoDate(value) : null;
  if (date === null) throw refuse(expected(what, 'an ISO 8601 instant', value));
  return date;
}

/** Celery's order and unit: hard before soft, in seconds. */
function timeLimitHeader({ softMs, hardMs }: TimeLimits): HeaderValue {
  return [hardMs, softMs].map((ms) => (ms === null ? null : ms / 1000));
}

/** What cannot be read is no limit: the task is worth more. */
function timeLimits(value: unknown): TimeLimits | null {
  if (!Array.isArray(value)) return null;
  const [hardMs, softMs] = [millis(value[0]), millis(value[1])];
  return hardMs === null && softMs === null ? null : { softMs, hardMs };
}

// Celery reads 0 as no limit.
function millis(seconds: unknown): number | null {
  if (typeof seconds !== 'number' || !(seconds > 0)) return null;
  return Math.min(Math.ceil(seconds * 1000), LONGEST_TIME_LIMIT_MS);
}

function optionalText(value: unknown): string | null {
  return typeof value === 'string' && value !== '' ? sanitizeText(value) : null;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** JSON is near enough to Python's repr for logs; a cut may fall within a surrogate pair. */
function clip(json: string): string {
  return json.length <= REPR_LENGTH ? json : sanitizeText(`${json.slice(0, REPR_LENGTH - 1)}…`);
}

function refuse(message: string): LovageError {
  return new LovageError('LOVAGE_MESSAGE', message);
}
