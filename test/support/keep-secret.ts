import type { SecretGuard } from './secret-guard.js';

/** Names secrets that no process may show while this test file runs; see guard-secrets.ts. */
export function keepSecret(...secrets: readonly string[]): void {
  (globalThis as { [key: symbol]: SecretGuard | undefined })[Symbol.for('lovage.test.keepSecret')]?.keep(...secrets);
}
