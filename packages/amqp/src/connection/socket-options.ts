import { readFile } from 'node:fs/promises';
import { LovageError } from '@lovage/core';
import type { BrokerSettings } from '@lovage/core';
import type { SocketOptions } from 'amqplib';

export interface SocketOptionsRequest {
  readonly settings: BrokerSettings;
  /** What the server shows of the connection. */
  readonly connectionName: string;
  readonly timeoutMs: number;
  /** Destroys the socket, in whatever state it is. */
  readonly signal: AbortSignal;
}

/** What amqplib and node:net or node:tls need. The PEM files are read each time, so that renewed certificates are taken up. */
export async function socketOptions(request: SocketOptionsRequest): Promise<SocketOptions> {
  const { settings, connectionName, timeoutMs, signal } = request;
  const { tls } = settings;
  const [ca, cert, key] = await Promise.all([
    readPem(tls?.caFile ?? null, 'broker.tls.caFile'),
    readPem(tls?.certFile ?? null, 'broker.tls.certFile'),
    readPem(tls?.keyFile ?? null, 'broker.tls.keyFile'),
  ]);
  const options: SocketOptions & { signal: AbortSignal } = {
    noDelay: true, // Nagle's algorithm would hold back every lone publish and ack
    keepAlive: true,
    timeout: timeoutMs,
    clientProperties: { connection_name: connectionName },
    signal, // node:net's own; amqplib hands it on
    ...(ca && { ca }),
    ...(cert && { cert }),
    ...(key && { key }),
    ...(tls?.serverName && { servername: tls.serverName }),
  };
  return options;
}

async function readPem(file: string | null, what: string): Promise<Buffer | null> {
  if (file === null) return null;
  try {
    return await readFile(file);
  } catch (error) {
    throw new LovageError(
      'LOVAGE_CONFIG',
      `expected ${what} to be a file that can be read: ${(error as Error).message}`,
      {
        cause: error,
      },
    );
  }
}
