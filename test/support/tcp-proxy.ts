import { once } from 'node:events';
import { type AddressInfo, type Server, type Socket, connect, createServer } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';

/**
 * Stands between a client and a server on 127.0.0.1, to do to their connection what networks do: cut it, hold it, slow it, refuse it.
 * Passes bytes through until told otherwise.
 */
export class TcpProxy {
  readonly #server: Server;
  readonly #target: URL;
  readonly #pairs = new Set<{ readonly client: Socket; readonly upstream: Socket }>();
  #holding = false;
  #stalled = false;
  /** What is to be closed once nothing is stalled any more, as its other side was. */
  readonly #closing: Socket[] = [];
  #latencyMs = 0;
  #rewrite: (bytes: Buffer) => Buffer = (bytes) => bytes;
  #port = 0;

  private constructor(target: string) {
    this.#target = new URL(target);
    this.#server = createServer((client) => this.#pair(client));
  }

  /** Listens on a free port for the server of this URL. */
  static async start(target: string): Promise<TcpProxy> {
    const proxy = new TcpProxy(target);
    await proxy.accept();
    return proxy;
  }

  /** The server's URL, by way of this proxy. */
  get url(): string {
    const url = new URL(this.#target);
    url.hostname = '127.0.0.1';
    url.port = `${this.#port}`;
    return url.href;
  }

  /** How many clients are connected now. */
  get connections(): number {
    return this.#pairs.size;
  }

  /** Takes connections (again), on the same port. */
  async accept(): Promise<void> {
    this.#server.listen(this.#port, '127.0.0.1');
    await once(this.#server, 'listening');
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  /** Cuts all connections. */
  cut(): void {
    this.#holding = false;
    this.#unstall();
    for (const { client, upstream } of this.#pairs) {
      client.destroy();
      upstream.destroy();
    }
  }

  /** Cuts all connections and takes no others. */
  async refuse(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.cut();
    await closed;
  }

  /** Keeps back what the server says from now on. What the client says still arrives. */
  holdAnswers(): void {
    this.#holding = true;
    for (const { upstream } of this.#pairs) upstream.pause();
  }

  releaseAnswers(): void {
    this.#holding = false;
    for (const { upstream } of this.#pairs) upstream.resume();
  }

  /** Passes nothing on from now on, in either direction, nor that one side has closed a connection. Whoever connects meanwhile waits too. */
  stall(): void {
    this.#stalled = true;
    for (const pair of this.#pairs) pauseBoth(pair);
  }

  resume(): void {
    this.#unstall();
    for (const { client, upstream } of this.#pairs) {
      client.resume();
      upstream.resume();
    }
  }

  /** Passes everything on so many milliseconds later, in either direction; 0: at once. */
  slow(latencyMs: number): void {
    this.#latencyMs = latencyMs;
  }

  /** Says this to all clients in the server's name. */
  inject(bytes: Buffer): void {
    for (const { client } of this.#pairs) client.write(bytes);
  }

  /** Changes what clients send, chunk by chunk. */
  rewriteRequests(rewrite: (bytes: Buffer) => Buffer): void {
    this.#rewrite = rewrite;
  }

  async stop(): Promise<void> {
    if (this.#server.listening) await this.refuse();
  }

  #unstall(): void {
    this.#stalled = false;
    for (const socket of this.#closing.splice(0)) socket.destroy();
  }

  #pair(client: Socket): void {
    const upstream = connect(Number(this.#target.port), this.#target.hostname);
    const pair = { client, upstream };
    this.#pairs.add(pair);
    if (this.#holding) upstream.pause();
    if (this.#stalled) pauseBoth(pair);
    const [up, down] = [new Direction(upstream), new Direction(client)];
    client.on('data', (bytes: Buffer) => up.pass(this.#rewrite(bytes), this.#latencyMs));
    upstream.on('data', (bytes: Buffer) => down.pass(bytes, this.#latencyMs));
    for (const [one, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      one.on('error', () => undefined);
      one.on('close', () => {
        this.#pairs.delete(pair);
        if (this.#stalled) this.#closing.push(other);
        else other.destroy();
      });
    }
  }
}

function pauseBoth({ client, upstream }: { readonly client: Socket; readonly upstream: Socket }): void {
  client.pause();
  upstream.pause();
}

/** One direction of one connection: bytes stay in order, whatever the latency was when they came. */
class Direction {
  readonly #to: Socket;
  #last: Promise<unknown> | null = null;

  constructor(to: Socket) {
    this.#to = to;
  }

  pass(bytes: Buffer, latencyMs: number): void {
    if (this.#last === null && latencyMs === 0) {
      this.#to.write(bytes);
      return;
    }
    const turn = Promise.all([this.#last, pause(latencyMs)]).then(() => {
      this.#to.write(bytes);
      if (this.#last === turn) this.#last = null;
    });
    this.#last = turn;
  }
}
