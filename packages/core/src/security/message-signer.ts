import { type KeyObject, createHmac, sign, timingSafeEqual, verify } from 'node:crypto';
import type { SigningSettings } from '../config/settings.js';
import { LovageError, show } from '../errors/lovage-error.js';
import type { Headers, HeaderValue, Message } from '../message/message.js';
import { isTransitHeader } from '../message/transit-header.js';
import { sanitizeJson } from '../payload/storable.js';

/** `<id of the key>:<signature in base64url>`. */
export const SIGNATURE_HEADER = 'signature';

/**
 * Signs messages and verifies them, by HMAC-SHA256 or Ed25519. Signed is all that a message says: its body, its properties, and every header but those that
 * change on its way (`isTransitHeader`); so whatever makes a message, or makes another of it, signs it, and who passes it on needs no key.
 */
export class MessageSigner {
  readonly #settings: SigningSettings;

  constructor(settings: SigningSettings) {
    this.#settings = settings;
  }

  /** Throws LOVAGE_CONFIG for an app that has no key to sign with; `what` is a clause that says who needs one. */
  assertCanSign(what: string): void {
    if (this.#settings.signWith !== null) return;
    throw new LovageError(
      'LOVAGE_CONFIG',
      `${what}, and every key of signing.keys is public: add a secret or a private key of this process's own, and its public one to the others`,
    );
  }

  /** The same message with its signature, in place of one that it has. Throws LOVAGE_CONFIG as `assertCanSign` does. */
  sign(message: Message): Message {
    this.assertCanSign('a message that is sent must be signed');
    const id = this.#settings.signWith as string;
    const signature = signatureOf(this.#settings.keys[id] as KeyObject, message);
    return {
      ...message,
      headers: { ...message.headers, [SIGNATURE_HEADER]: `${id}:${signature.toString('base64url')}` },
    };
  }

  /** Why this message is not to be believed, as words that show nothing secret; null: one who has a key has written it. */
  refusalOf(message: Message): string | null {
    const header = message.headers[SIGNATURE_HEADER];
    if (header === undefined || header === null) {
      return this.#settings.required ? 'it is not signed, and signing.required is true' : null;
    }
    const [, id, signature] = typeof header === 'string' ? (/^([\w.-]+):([\w-]+)$/.exec(header) ?? []) : [];
    if (id === undefined || signature === undefined) return 'its signature cannot be read';
    const key = Object.hasOwn(this.#settings.keys, id) ? this.#settings.keys[id] : undefined;
    if (key === undefined) return `it is signed with the key ${show(id)}, which is none of signing.keys`;
    return holds(key, message, Buffer.from(signature, 'base64url'))
      ? null
      : `its signature with the key ${show(id)} does not hold: it was changed on its way, or signed with another key of that name`;
  }
}

function signatureOf(key: KeyObject, message: Message): Buffer {
  const head = headOf(message);
  if (key.type === 'secret') return createHmac('sha256', key).update(head).update(message.body).digest();
  return sign(null, Buffer.concat([Buffer.from(head), message.body]), key);
}

function holds(key: KeyObject, message: Message, signature: Buffer): boolean {
  if (key.type !== 'secret')
    return verify(null, Buffer.concat([Buffer.from(headOf(message)), message.body]), key, signature);
  const own = signatureOf(key, message);
  return own.length === signature.length && timingSafeEqual(own, signature);
}

/** All that is signed before the body: one line of JSON, keys in order, so that it is the same however the headers travelled. */
function headOf({ headers, contentType, contentEncoding, correlationId, replyTo, priority }: Message): string {
  const properties = [contentType, contentEncoding, correlationId, replyTo, priority];
  const signed = inOrder(headers, (name) => name !== SIGNATURE_HEADER && !isTransitHeader(name));
  // AMQP carries no lone surrogate.
  return `${sanitizeJson(JSON.stringify(['lovage.1', ...properties, signed]))}\n`;
}

function inOrder(table: Headers, isSigned?: (name: string) => boolean): object {
  const names = isSigned === undefined ? Object.keys(table) : Object.keys(table).filter(isSigned);
  return Object.fromEntries(names.sort().map((name) => [name, canonical(table[name] as HeaderValue)]));
}

function canonical(value: HeaderValue): unknown {
  if (typeof value !== 'object' || value === null) return value;
  return Array.isArray(value) ? value.map(canonical) : inOrder(value as Headers);
}
