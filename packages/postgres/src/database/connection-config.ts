import { readFileSync } from 'node:fs';
import { checkServerIdentity, type ConnectionOptions } from 'node:tls';
import { LovageError, type TlsSettings } from '@lovage/core';
import type { ClientConfig } from 'pg';

export interface ConnectionConfigOptions {
  readonly applicationName: string;
  readonly connectTimeoutMs: number;
  readonly tls: TlsSettings | null;
}

/** What pg needs for one connection. Throws LOVAGE_CONFIG for a file of TLS material that cannot be read. */
export function connectionConfig(url: string, options: ConnectionConfigOptions): ClientConfig {
  const { applicationName, connectTimeoutMs, tls } = options;
  return {
    connectionString: tls === null ? url : withoutTls(url),
    ...(tls !== null && { ssl: tlsOptions(tls) }),
    application_name: applicationName,
    connectionTimeoutMillis: connectTimeoutMs,
    keepAlive: true,
  };
}

/** pg lets the URL's own TLS parameters overrule what stands beside it, so that `sslmode=require` would drop the CA file. */
function withoutTls(url: string): string {
  return url.replace(/([?&])(?:sslmode|ssl|sslcert|sslkey|sslrootcert|uselibpqcompat)=[^&]*/g, '$1');
}

function tlsOptions({ caFile, certFile, keyFile, serverName }: TlsSettings): ConnectionOptions {
  return {
    ...(caFile !== null && { ca: pem(caFile, 'caFile') }),
    ...(certFile !== null && { cert: pem(certFile, 'certFile') }),
    ...(keyFile !== null && { key: pem(keyFile, 'keyFile') }),
    // pg always sets `servername` to the host, so the other name is compared here.
    ...(serverName !== null && {
      checkServerIdentity: (_host, certificate) => checkServerIdentity(serverName, certificate),
    }),
  };
}

function pem(file: string, key: keyof TlsSettings): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const { message } = error as Error;
    throw new LovageError(
      'LOVAGE_CONFIG',
      `expected results.tls.${key} to be a PEM file that can be read: ${message}`,
      { cause: error },
    );
  }
}
