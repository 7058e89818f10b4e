import { type KeyObject, createPrivateKey, createPublicKey, createSecretKey } from 'node:crypto';
import { types } from 'node:util';

/** 256 bits: what HMAC-SHA256 can make use of. */
const MIN_SECRET_BYTES = 32;

/**
 * Reads a key for signatures: a text of at least 32 bytes is a secret (HMAC-SHA256), PEM text an Ed25519 key, public (it verifies alone) or private; a
 * KeyObject is one already. Undefined for anything else. What is returned shows nothing of itself, wherever it is printed.
 */
export function readSigningKey(value: unknown): KeyObject | undefined {
  const key = typeof value === 'string' ? keyOfText(value.trim()) : types.isKeyObject(value) ? value : undefined;
  if (key === undefined) return undefined;
  const fits =
    key.type === 'secret' ? (key.symmetricKeySize ?? 0) >= MIN_SECRET_BYTES : key.asymmetricKeyType === 'ed25519';
  return fits ? key : undefined;
}

/** Whoever has a public key can verify, and nothing more. */
export function canSign(key: KeyObject): boolean {
  return key.type !== 'public';
}

function keyOfText(text: string): KeyObject | undefined {
  if (!text.startsWith('-----BEGIN ')) return createSecretKey(Buffer.from(text));
  try {
    return /^-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(text) ? createPrivateKey(text) : createPublicKey(text);
  } catch {
    return undefined;
  }
}
