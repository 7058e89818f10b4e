import { LovageError } from '../errors/lovage-error.js';
import { canSign } from '../security/signing-key.js';
import type { SigningSettings } from './settings.js';

/** How an app signs; null: it does not. Throws LOVAGE_CONFIG if it cannot be told which key signs; without `signWith` itself, which may be a secret in the wrong place. */
export function signingSettings({ keys, signWith, required }: SigningSettings): SigningSettings | null {
  const signers = Object.entries(keys).flatMap(([id, key]) => (canSign(key) ? [id] : []));
  if (signWith !== null ? !signers.includes(signWith) : signers.length > 1) {
    const what = `signing.keys that are secret or private: ${signers.join(', ') || 'there is none'}`;
    throw new LovageError('LOVAGE_CONFIG', `expected signing.signWith to be the id of one of the ${what}`);
  }
  if (Object.keys(keys).length === 0) return null;
  return Object.freeze({ keys, signWith: signWith ?? signers[0] ?? null, required });
}
