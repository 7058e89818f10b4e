import { readFileSync } from 'node:fs';
import { checkServerIdentity, type ConnectionOptions } from 'node:tls';
import { type ConnectionTarget, LovageError, type TlsSettings } from '@lovage/core';
import type { ClientConfig } from 'pg';

export interface ConnectionConfigOptions {
  readonly applicationName: string;
  readonly connectTimeoutMs: number;
  readonly tls: TlsSettings | null;
  /** Whose connection it is: names the key in an error. */
  readonly target: ConnectionTarget;
}

/** What pg needs for one connection. Throws LOVAGE_CONFIG for a file of TLS material that cannot be read. */
export function connectionConfig(url: string, options: ConnectionConfigOptions): ClientConfig {
  const { applicationName, connectTimeoutMs, tls, target } = options;
  return {
    connectionString: tls === null ? url : withoutTls(url),
    ...(tls !== null && { ssl: tlsOptions(tls, target) }),
    application_name: applicationName,
    connectionTimeoutMillis: connectTimeoutMs,
    keepAlive: true,
  };
}

/** pg lets the URL's own TLS parameters overrule what stands beside it, so that `sslmode=require` would drop the CA file. */
function withoutTls(url: string): string {
  return url.replace(/([?&])(?:sslmode|ssl|sslcert|sslkey|sslrootcert|uselibpqcompat)=[^&]*/g, '$1');
}

function tlsOptions(
  { caFile, certFile, keyFile, serverName }: TlsSettings,
  target: ConnectionTarget,
): ConnectionOptions {
  const key = `${target}.tls`;
  return {
    ...(caFile !== null && { ca: pem(caFile, `${key}.caFile`) }),
    ...(certFile !== null && { cert: pem(certFile, `${key}.certFile`) }),
    ...(keyFile !== null && { key: pem(keyFile, `${key}.keyFile`) }),
    // pg always sets `servername` to the host, so the other name is compared here.
    ...(serverName !== null && {
      checkServerIdentity: (_host, certificate) => checkServerIdentity(serverName, certificate),
    }),
  };
}

function pem(file: string, what: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const { message } = error as Error;
    throw new LovageError('LOVAGE_CONFIG', `expected ${what} to be a PEM file that can be read: ${message}`, {
      cause: error,
    });
  }
}
