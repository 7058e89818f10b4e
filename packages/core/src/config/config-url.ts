import { maskUrl } from '../runtime/mask-url.js';
import type { ConfigType } from './config-type.js';

/** One URL. Whether a driver is installed for its scheme is checked when the app connects. */
export const url: ConfigType<string> = {
  expectation: 'a URL such as postgres://user:password@host:5432/database',
  read(value, what, problems) {
    const problem = problemOf(value);
    if (problem === null) return (value as string).trim();
    problems.push(`expected ${what} to be ${url.expectation}, ${problem}`);
    return undefined;
  },
};

/** One URL or several: a list, or text that separates them by commas or semicolons. */
export const urls: ConfigType<readonly string[]> = {
  expectation: 'a URL such as amqp://user:password@host:5672/vhost, or a list of them',
  read(value, what, problems) {
    const items: unknown = typeof value === 'string' ? splitUrls(value) : value;
    if (!Array.isArray(items) || items.length === 0) {
      problems.push(`expected ${what} to be ${urls.expectation}, got ${kindOf(value)}`);
      return undefined;
    }
    for (const item of items as readonly unknown[]) {
      const problem = problemOf(item) ?? hostProblemOf(item as string);
      if (problem !== null) problems.push(`expected ${what} to be ${urls.expectation}, ${problem}`);
    }
    return Object.freeze((items as readonly unknown[]).map((item) => String(item).trim()));
  },
};

/** Only a separator that another URL follows is one: a password may hold commas. */
function splitUrls(text: string): readonly string[] {
  return text.replace(/[\s,;]+$/, '').split(/\s*[,;]\s*(?=[a-z][a-z0-9+.-]*:\/\/)/i);
}

/** null: it is a URL. The text says what is wrong and holds no password. */
function problemOf(value: unknown): string | null {
  if (typeof value !== 'string' || value === '') return `got ${kindOf(value)}`;
  const text = value.trim();
  // `memory:` needs no host. Without this check `localhost:5672` would count as a URL of the scheme `localhost`.
  if (!/^[a-z][a-z0-9+.-]*:(\/\/|$)/i.test(text)) return "got text that does not begin with 'scheme://'";
  if (URL.canParse(text)) return null;
  const hint = text.includes('@')
    ? " (write special characters of a user's name or password as %XX: '/' is %2F, '#' is %23)"
    : '';
  return `got ${maskUrl(text)}, which cannot be read${hint}`;
}

function hostProblemOf(value: string): string | null {
  return /[,;]/.test(new URL(value.trim()).hostname)
    ? `got ${maskUrl(value)}: write each host as a URL of its own`
    : null;
}

function kindOf(value: unknown): string {
  if (value === '') return 'an empty text';
  if (Array.isArray(value)) return 'an empty list';
  return value === null ? 'null' : `a value of type ${typeof value}`;
}
