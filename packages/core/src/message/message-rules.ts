import type { Settings } from '../config/settings.js';
import { MessageSigner } from '../security/message-signer.js';

export const JSON_CONTENT = 'application/json';

/** What a message must be like to be sent, or read. */
export interface MessageRules {
  /** Content types in lower case, each of JSON. */
  readonly acceptContent: readonly string[];
  /** The largest body, in bytes. */
  readonly maxSize: number;
  /** null: messages are not signed. */
  readonly signer: MessageSigner | null;
}

/** For a message that was made in this process a moment ago. */
export const OWN_MESSAGE: MessageRules = { acceptContent: [JSON_CONTENT], maxSize: Infinity, signer: null };

/** The rules of an app. */
export function messageRules({ acceptContent, maxMessageSize, signing }: Settings): MessageRules {
  return { acceptContent, maxSize: maxMessageSize, signer: signing === null ? null : new MessageSigner(signing) };
}
