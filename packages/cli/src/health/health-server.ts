import { once } from 'node:events';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { LovageError } from '@lovage/core';

/** What the probes of an orchestrator are told. */
export interface Health {
  /** Why no task would be run now; null: it consumes. */
  notReady(): string | null;
}

/** Where it is served. */
export interface HealthAddress {
  /** 0: any that is free. */
  readonly port: number;
  /** null: every address of the machine, as a probe comes to that of the pod. */
  readonly host: string | null;
}

/**
 * Serves /livez and /readyz: 200 `ok`, or 503 and the reason. Whoever asks learns nothing else. That /livez is answered at all says that the event loop turns,
 * which is all that a restart could mend.
 */
export class HealthServer {
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  /** @throws LOVAGE_USAGE for an address that cannot be listened on */
  static async start(health: Health, { port, host }: HealthAddress): Promise<HealthServer> {
    const server = createServer((request, response) => {
      if (request.method !== 'GET' && request.method !== 'HEAD') return answer(response, 405, 'expected GET');
      const path = request.url?.split('?', 1)[0];
      if (path === '/livez') return answer(response, 200, 'ok');
      if (path !== '/readyz') return answer(response, 404, 'there are /livez and /readyz');
      const reason = health.notReady();
      answer(response, reason === null ? 200 : 503, reason ?? 'ok');
    });
    server.listen({ port, ...(host !== null && { host }) });
    try {
      await once(server, 'listening');
    } catch (error) {
      const place = host === null ? `port ${port}` : `${host}:${port}`;
      throw new LovageError('LOVAGE_USAGE', `the health of the worker cannot be served on ${place}`, { cause: error });
    }
    return new HealthServer(server);
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async stop(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }
}

// A prober's kept connections would be one more thing to wait for at a stop.
function answer(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8', connection: 'close' });
  response.end(`${text}\n`);
}
