import { LovageError, expected, maskUrl, type Credentials } from '@lovage/core';
import type { Options } from 'amqplib';

/** One host of the broker, as a URL names it. */
export interface Endpoint {
  /** For people: without the password. */
  readonly masked: string;
  readonly user: string;
  readonly vhost: string;
  /** As amqplib takes it. */
  readonly connect: Options.Connect;
}

/**
 * Reads an `amqp:` or `amqps:` URL. Throws LOVAGE_CONFIG for any other.
 * The parts are decoded here and not by amqplib, which reads percent signs as Latin-1.
 */
export function parseEndpoint(url: string, heartbeatMs: number): Endpoint {
  const parsed = URL.canParse(url) ? new URL(url) : null;
  if (parsed === null || !/^amqps?:$/.test(parsed.protocol) || parsed.hostname === '') {
    throw new LovageError(
      'LOVAGE_CONFIG',
      expected('broker', "a URL such as 'amqp://user:password@host:5672/vhost'", maskUrl(url)),
    );
  }
  const protocol = parsed.protocol.slice(0, -1);
  const user = decode(parsed.username) || 'guest';
  return {
    masked: maskUrl(url),
    user,
    vhost: decode(parsed.pathname.slice(1)) || '/',
    connect: {
      protocol,
      hostname: parsed.hostname.replace(/^\[|\]$/g, ''),
      port: Number(parsed.port) || (protocol === 'amqps' ? 5671 : 5672),
      username: user,
      password: parsed.username === '' && parsed.password === '' ? 'guest' : decode(parsed.password),
      vhost: parsed.pathname.slice(1), // amqplib decodes this one
      // AMQP counts heartbeats in whole seconds, and 0 would switch them off.
      heartbeat: Math.min(65_535, Math.max(1, Math.round(heartbeatMs / 1000))),
    },
  };
}

/** The same host, for somebody else. */
export function endpointFor(endpoint: Endpoint, { username, password }: Credentials): Endpoint {
  return { ...endpoint, user: username, connect: { ...endpoint.connect, username, password } };
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
