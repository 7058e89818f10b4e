import { createSecretKey, generateKeyPairSync } from 'node:crypto';
import { inspect } from 'node:util';
import { isLovageError } from '../errors/lovage-error.js';
import { readLayer, resolveSettings } from './config-layers.js';
import type { LovageOptions } from './options.js';
import type { Settings } from './settings.js';

const SECRET = 'thirty-two-characters-of-a-secret';
const { privateKey, publicKey } = generateKeyPairSync('ed25519');
const privatePem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
const publicPem = publicKey.export({ type: 'spki', format: 'pem' }).toString();
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });

const own = (source: LovageOptions): Settings => resolveSettings([readLayer(source, { origin: 'new Lovage()' })]);
const env = (source: object): Settings =>
  resolveSettings([readLayer(source, { namespace: 'LOVAGE', origin: 'the environment' })]);

/** The message of the LOVAGE_CONFIG; nothing of it may show a secret. */
function problem(read: () => unknown): string {
  try {
    read();
  } catch (error) {
    expect(inspect(error, { depth: 9, showHidden: true })).not.toMatch(/thirty-two|MC4CAQ|hunter2/);
    if (isLovageError(error, 'LOVAGE_CONFIG')) return error.message;
    throw error;
  }
  throw new Error('expected LOVAGE_CONFIG');
}

describe('signing', () => {
  test('is off without keys', () => {
    expect(own({}).signing).toBeNull();
    expect(own({ signing: { keys: {} } }).signing).toBeNull();
  });

  test('takes secrets, PEM texts and KeyObjects; the only key that can sign does', () => {
    const keys = { a: publicPem, b: publicKey, c: `\n${privatePem}\n` };
    const signing = own({ signing: { keys } }).signing;
    expect(signing).toMatchObject({ signWith: 'c', required: true });
    expect(Object.values(signing?.keys ?? {}).map(({ type }) => type)).toEqual(['public', 'public', 'private']);
    expect(own({ signing: { keys: { only: createSecretKey(Buffer.alloc(32, 1)) } } }).signing?.signWith).toBe('only');
    expect(own({ signing: { keys: { a: publicPem } } }).signing?.signWith).toBeNull();
  });

  test('is read from the environment', () => {
    const LOVAGE_SIGNING_KEYS = JSON.stringify({ old: SECRET, new: privatePem });
    const settings = env({ LOVAGE_SIGNING_KEYS, LOVAGE_SIGNING_SIGN_WITH: 'new', LOVAGE_SIGNING_REQUIRED: 'false' });
    expect(settings.signing).toMatchObject({ signWith: 'new', required: false });
  });

  test('shows no key, however it is printed', () => {
    const settings = own({ signing: { keys: { a: SECRET, b: privatePem }, signWith: 'a' } });
    const printed = inspect(settings, { depth: 9, showHidden: true }) + JSON.stringify(settings);
    expect(printed).not.toMatch(/thirty-two|MC4CAQ/);
  });

  test.each<[string, () => unknown, RegExp]>([
    [
      'a short secret',
      () => own({ signing: { keys: { a: 'hunter2' } } }),
      /signing\.keys\['a'\] to be a secret of at least 32 bytes/,
    ],
    ['an RSA key', () => own({ signing: { keys: { a: rsa.privateKey } } }), /Ed25519/],
    ['torn PEM', () => own({ signing: { keys: { a: privatePem.slice(0, 60) } } }), /Ed25519/],
    ['a number', () => own({ signing: { keys: { a: 5 as never } } }), /Ed25519/],
    ['a secret for the keys', () => own({ signing: { keys: SECRET as never } }), /signing\.keys to be keys by id/],
    [
      'a secret for the group',
      () => own({ signing: SECRET as never }),
      /signing to be an object of settings, got a text/,
    ],
    ['a secret as an id', () => own({ signing: { keys: { [SECRET]: 'a' } } }), /ids of signing\.keys/],
    ['a secret as the name of the key', () => own({ signing: { keys: { a: SECRET }, signWith: SECRET } }), /signWith/],
    [
      'a name that no key has',
      () => own({ signing: { keys: { a: SECRET }, signWith: 'hunter2' } }),
      /signWith to be the id of one of the signing\.keys .*: a$/,
    ],
    [
      'a public key that is to sign',
      () => own({ signing: { keys: { a: publicPem }, signWith: 'a' } }),
      /private: there is none/,
    ],
    ['no keys for the name', () => own({ signing: { signWith: 'a' } }), /there is none/],
    ['two that could sign', () => own({ signing: { keys: { a: SECRET, b: privatePem } } }), /signWith .*: a, b$/],
    ['no JSON in the environment', () => env({ LOVAGE_SIGNING_KEYS: SECRET }), /LOVAGE_SIGNING_KEYS to be keys by id/],
    [
      'a secret in the environment in place of a name',
      () => env({ LOVAGE_SIGNING_SIGN_WITH: SECRET }),
      /LOVAGE_SIGNING_SIGN_WITH/,
    ],
    [
      'a secret in the environment for the group',
      () => env({ LOVAGE_SIGNING: SECRET }),
      /LOVAGE_SIGNING to be an object/,
    ],
    ['a misspelt key', () => env({ LOVAGE_SIGNING_KEY: SECRET }), /did you mean LOVAGE_SIGNING_KEYS/],
  ])('refuses %s, and shows nothing of it', (_what, read, message) => {
    expect(problem(read)).toMatch(message);
  });
});

describe('acceptContent', () => {
  test('is a list of types of JSON', () => {
    const types = ['application/json', 'application/vnd.shop+json'];
    expect(own({ acceptContent: types }).acceptContent).toEqual(types);
    expect(env({ LOVAGE_ACCEPT_CONTENT: ' Application/JSON, application/vnd.shop+json' }).acceptContent).toEqual(types);
  });

  test.each([['application/x-python-serialize'], [['application/json', 'application/x-msgpack']], ['text/json'], [[]]])(
    'refuses %p',
    (acceptContent) => {
      expect(problem(() => own({ acceptContent }))).toMatch(/acceptContent to be a list of content types of JSON/);
    },
  );
});
