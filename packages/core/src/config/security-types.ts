import type { KeyObject } from 'node:crypto';
import { JSON_CONTENT } from '../message/message-rules.js';
import { readSigningKey } from '../security/signing-key.js';
import { type ConfigType, configType, isRecord } from './config-type.js';
import type { CredentialsProvider } from './credentials.js';

/** Shorter than any secret: one that was given in the place of an id is not shown. */
const KEY_ID = /^[A-Za-z0-9][\w.-]{0,30}$/;

/** Bodies are read as JSON whatever the type says: another format's would be taken for what it is not. */
const JSON_TYPE = /^(?:application|text)\/(?:json|x-json|[\w.-]+\+json)$/;

export const contentTypes: ConfigType<readonly string[]> = configType(
  `a list of content types of JSON that holds ${JSON_CONTENT}, such as 'application/json, application/vnd.shop+json'`,
  (value) => {
    const items: unknown = typeof value === 'string' ? value.split(',') : value;
    if (!Array.isArray(items) || !items.every((item) => typeof item === 'string')) return undefined;
    const types = items.map((item) => item.trim().toLowerCase());
    return types.includes(JSON_CONTENT) && types.every((one) => JSON_TYPE.test(one)) ? Object.freeze(types) : undefined;
  },
);

export const keyId: ConfigType<string> = {
  expectation: "a key's id: at most 31 letters, digits, '_', '.' and '-', beginning with a letter or digit",
  read(value, what, problems) {
    if (typeof value === 'string' && KEY_ID.test(value)) return value;
    problems.push(`expected ${what} to be ${keyId.expectation}; what it is, is not shown`);
    return undefined;
  },
};

/** Shows no value: the credentials themselves may stand in the place of the function. */
export const credentials: ConfigType<CredentialsProvider> = {
  expectation: 'a function that gives { username, password }, or a promise of it',
  read(value, what, problems) {
    if (typeof value === 'function') return value as CredentialsProvider;
    problems.push(`expected ${what} to be ${credentials.expectation}; what it is, is not shown`);
    return undefined;
  },
};

const KEY = 'a secret of at least 32 bytes, or an Ed25519 key as PEM text or KeyObject';

/** Keys by id. Shows no value, whatever is wrong with it. */
export const signingKeys: ConfigType<Readonly<Record<string, KeyObject>>> = {
  expectation: `keys by id, each ${KEY}; in the environment, JSON`,
  read(value, what, problems) {
    const record = typeof value === 'string' ? parsed(value) : value;
    if (!isRecord(record)) {
      problems.push(`expected ${what} to be ${signingKeys.expectation}; what it is, is not shown`);
      return undefined;
    }
    const keys: Record<string, KeyObject> = {};
    for (const [id, item] of Object.entries(record)) {
      if (item === undefined) continue;
      const key = readSigningKey(item);
      if (!KEY_ID.test(id)) problems.push(`expected the ids of ${what} to be ${keyId.expectation}`);
      else if (key === undefined) problems.push(`expected ${what}['${id}'] to be ${KEY}; what it is, is not shown`);
      else keys[id] = key;
    }
    return Object.freeze(keys);
  },
};

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
