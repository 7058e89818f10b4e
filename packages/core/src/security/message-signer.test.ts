import { createHmac, createSecretKey, generateKeyPairSync } from 'node:crypto';
import type { SigningSettings } from '../config/settings.js';
import type { Headers, Message } from '../message/message.js';
import { MessageSigner } from './message-signer.js';

const SECRET = 'a secret that is long enough, 32+';
const secret = createSecretKey(Buffer.from(SECRET));
const pair = generateKeyPairSync('ed25519');
const other = generateKeyPairSync('ed25519');

function signer(keys: SigningSettings['keys'], rest: Partial<SigningSettings> = {}): MessageSigner {
  return new MessageSigner({ keys, signWith: Object.keys(keys)[0] ?? null, required: true, ...rest });
}

const message: Message = {
  queue: 'lovage',
  headers: { task: 'billing.pay', id: '1', retries: 0, tenant: 'a', nested: { b: [1, { d: 1.5, c: null }], a: true } },
  contentType: 'application/json',
  contentEncoding: 'utf-8',
  correlationId: '1',
  replyTo: 'here',
  priority: 3,
  body: Buffer.from('[[1], {}, null]'),
};

function withHeaders(from: Message, headers: Headers): Message {
  return { ...from, headers: { ...from.headers, ...headers } };
}

describe.each([
  ['HMAC-SHA256', signer({ k1: secret }), signer({ k1: secret })],
  ['Ed25519', signer({ k1: pair.privateKey }), signer({ k1: pair.publicKey }, { signWith: null })],
])('a signature by %s', (_name, sender, receiver) => {
  const signed = sender.sign(message);

  it('holds, however the headers travelled', () => {
    expect(receiver.refusalOf(signed)).toBeNull();
    const { headers } = signed;
    const reversed = Object.fromEntries(Object.entries(headers).reverse());
    const nested = { a: true, b: [1, { c: null, d: 1.5 }] };
    expect(
      receiver.refusalOf({ ...signed, headers: { ...reversed, nested }, body: Uint8Array.from(signed.body) }),
    ).toBeNull();
  });

  it('holds with what is written on the way, in whatever queue', () => {
    const onTheWay: Headers = {
      republished: true,
      'x-death': [{ queue: 'lovage', reason: 'expired', count: 1 }],
      'x-first-death-reason': 'expired',
      'x-delivery-count': 3,
      'x-opt-deaths': [],
      'x-received-from': [{ uri: 'amqp://elsewhere' }],
      'x-shovelled': [{ 'shovelled-by': 'a' }],
      timestamp_in_ms: 1,
      'x-lovage-reason': 'unknown',
      'x-lovage-queue': 'lovage',
    };
    expect(receiver.refusalOf({ ...withHeaders(signed, onTheWay), queue: 'lovage.dead' })).toBeNull();
  });

  it.each<[string, (from: Message) => Message]>([
    ['its body', (from) => ({ ...from, body: Buffer.from('[[2], {}, null]') })],
    ['its content type', (from) => ({ ...from, contentType: 'text/json' })],
    ['its content encoding', (from) => ({ ...from, contentEncoding: '' })],
    ['its correlation id', (from) => ({ ...from, correlationId: '2' })],
    ['where its end is told', (from) => ({ ...from, replyTo: 'there' })],
    ['its priority', (from) => ({ ...from, priority: null })],
    ['its task', (from) => withHeaders(from, { task: 'billing.refund' })],
    ['its id', (from) => withHeaders(from, { id: '2' })],
    ['its retries', (from) => withHeaders(from, { retries: 1 })],
    ['an attempt', (from) => withHeaders(from, { attempt: 1 })],
    ['an eta', (from) => withHeaders(from, { eta: '2030-01-01T00:00:00Z' })],
    ['an expiry', (from) => withHeaders(from, { expires: '2030-01-01T00:00:00Z' })],
    ['a time limit', (from) => withHeaders(from, { timelimit: [1, 1] })],
    ["a header of the caller's", (from) => withHeaders(from, { tenant: 'b' })],
    ["a header more of the caller's", (from) => withHeaders(from, { 'x-tenant': 'b' })],
    ['a value deep inside', (from) => withHeaders(from, { nested: { a: true, b: [1, { c: null, d: 2 }] } })],
    ['a table that is a list now', (from) => withHeaders(from, { nested: [['a', true]] })],
    ['a header less', (from) => ({ ...from, headers: { ...from.headers, tenant: null } })],
    ['the boundary of its body', (from) => ({ ...from, body: Buffer.concat([Buffer.from('\n'), from.body]) })],
  ])('does not hold once somebody has changed %s', (_what, change) => {
    expect(receiver.refusalOf(change(signed))).toMatch(/signature with the key "k1" does not hold/);
  });

  it.each([
    ['is missing', undefined, 'it is not signed, and signing.required is true'],
    ['is null', null, 'it is not signed, and signing.required is true'],
    ['is no text', 5, 'its signature cannot be read'],
    ['has no key', ':AAAA', 'its signature cannot be read'],
    ['is empty', 'k1:', 'its signature cannot be read'],
    ['is short', 'k1:AAAA', 'does not hold'],
    ['is of an unknown key', 'k2:AAAA', 'it is signed with the key "k2", which is none of signing.keys'],
    ['is of the key __proto__', '__proto__:AAAA', 'which is none of signing.keys'],
    ['is of the key constructor', 'constructor:AAAA', 'which is none of signing.keys'],
  ])('is refused that %s', (_what, signature, reason) => {
    const { signature: _signature, ...headers } = signed.headers;
    const forged = { ...signed, headers: { ...headers, ...(signature !== undefined && { signature }) } };
    expect(receiver.refusalOf(forged)).toContain(reason);
  });

  it('holds though AMQP carries no lone surrogate', () => {
    const sent = sender.sign(withHeaders(message, { tenant: 'a\ud800' }));
    expect(receiver.refusalOf(withHeaders(sent, { tenant: 'a\ufffd' }))).toBeNull();
  });

  it('is made anew for a message that has one', () => {
    const changed = withHeaders(signed, { retries: 1 });
    expect(receiver.refusalOf(sender.sign(changed))).toBeNull();
  });
});

it('is refused of another key with that id, and of another kind of key', () => {
  const signed = signer({ k1: pair.privateKey }).sign(message);
  expect(signer({ k1: other.publicKey }).refusalOf(signed)).toMatch(/does not hold/);
  expect(signer({ k1: secret }).refusalOf(signed)).toMatch(/does not hold/);
  expect(signer({ k1: pair.publicKey }).refusalOf(signer({ k1: secret }).sign(message))).toMatch(/does not hold/);
});

it('is verified by whichever key its id names, so that keys can be changed one after another', () => {
  const both = { old: secret, new: pair.publicKey };
  expect(signer(both).refusalOf(signer({ old: secret }).sign(message))).toBeNull();
  expect(signer(both).refusalOf(signer({ new: pair.privateKey }).sign(message))).toBeNull();
});

it('may be missing while signing is introduced, but not be wrong', () => {
  const lenient = signer({ k1: secret }, { required: false });
  expect(lenient.refusalOf(message)).toBeNull();
  expect(lenient.refusalOf(withHeaders(message, { signature: 'k1:AAAA' }))).toMatch(/does not hold/);
});

it('cannot be made with public keys alone', () => {
  const verifier = signer({ k1: pair.publicKey }, { signWith: null });
  expect(() => verifier.sign(message)).toThrow(/every key of signing.keys is public/);
});

it('is what docs/explanation/security.md says', () => {
  const [, signature] = (signer({ k1: secret }).sign(message).headers['signature'] as string).split(':');
  const head =
    '["lovage.1","application/json","utf-8","1","here",3,' +
    '{"id":"1","nested":{"a":true,"b":[1,{"c":null,"d":1.5}]},"retries":0,"task":"billing.pay","tenant":"a"}]\n';
  expect(signature).toBe(createHmac('sha256', SECRET).update(head).update(message.body).digest('base64url'));
});
