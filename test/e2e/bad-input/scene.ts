import { randomUUID } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { type ConfirmChannel, type ChannelModel, type GetMessage, type Options, connect } from 'amqplib';
import { Lovage } from 'lovage';
import { eventually } from '../../support/eventually.js';
import { type WorkerProcess, runLovage, startWorker } from '../../support/lovage-process.js';
import { type SecretServices, secretServices } from './secret-services.js';
import type { Vitals } from './tasks.js';

export const APP = path.join(__dirname, 'app.ts');
export const QUEUE = 'lovage';

/** A message as any AMQP client might send it. */
export interface RawMessage extends Options.Publish {
  /** Default: `[[], {}, null]`. */
  readonly body?: string | Buffer;
}

/** A real worker on real servers, an app that calls it, and a channel for what no app would send. */
export class Scene {
  readonly services: SecretServices;
  readonly app: Lovage;
  readonly channel: ConfirmChannel;
  readonly worker: WorkerProcess;
  readonly #connection: ChannelModel;

  private constructor(parts: Pick<Scene, 'services' | 'app' | 'channel' | 'worker'>, connection: ChannelModel) {
    this.services = parts.services;
    this.app = parts.app;
    this.channel = parts.channel;
    this.worker = parts.worker;
    this.#connection = connection;
  }

  static async open(args: readonly string[] = []): Promise<Scene> {
    const services = await secretServices();
    const migrated = await runLovage(['migrate', '-A', APP], { env: services.env });
    expect(migrated).toMatchObject({ code: 0, stderr: '' });
    services.assertKept(JSON.stringify(migrated));
    const worker = await startWorker(['-A', APP, '--loglevel', 'debug', ...args], {
      env: { ...services.env, NODE_OPTIONS: '--expose-gc', LOVAGE_WORKER_UNKNOWN_TASK_GRACE: '0s' },
    });
    const app = new Lovage({ name: 'caller', broker: services.broker, results: services.results });
    const connection = await connect(services.broker);
    const channel = await connection.createConfirmChannel();
    return new Scene({ services, app, channel, worker }, connection);
  }

  /** Sends a message of task protocol 2, changed as told; resolves with its id when the broker has it. */
  async send(task: string, message: RawMessage = {}): Promise<string> {
    const id = randomUUID();
    const { body = '[[], {}, null]', headers, ...properties } = message;
    await this.publish({
      contentType: 'application/json',
      contentEncoding: 'utf-8',
      correlationId: id,
      ...properties,
      headers: { lang: 'py', task, id, ...(headers as object | undefined) },
      body,
    });
    return id;
  }

  /** Sends a message as it is. */
  async publish({ body = '', ...options }: RawMessage): Promise<void> {
    this.channel.sendToQueue(QUEUE, Buffer.from(body), { persistent: true, ...options });
    await this.channel.waitForConfirms();
  }

  /** What a task returned, or the error of `get`. */
  async outcome(id: string): Promise<unknown> {
    return this.app
      .result(id)
      .get({ timeout: '20s' })
      .catch((error: unknown) => error);
  }

  /** The next message in the dead-letter queue, once there is one; it is taken from there. */
  async dead(): Promise<GetMessage> {
    return eventually(
      async () => {
        const letter = await this.channel.get(`${QUEUE}.dead`, { noAck: true });
        if (letter === false) throw new TypeError('expected a dead letter, got none');
        return letter;
      },
      { timeoutMs: 10_000 },
    );
  }

  /** Resolves once a queue is there. To ask for one that is not closes a channel: each question has its own. */
  async exists(queue: string): Promise<void> {
    await eventually(
      async () => {
        const channel = await this.#connection.createChannel();
        channel.on('error', () => undefined);
        await channel.checkQueue(queue);
        await channel.close();
      },
      { timeoutMs: 10_000 },
    );
  }

  /** The worker still works, and is the process that it was. */
  async vitals(): Promise<Vitals> {
    const vitals = await (await this.app.task<[], Vitals>('bad.vitals').delay()).get({ timeout: '20s' });
    expect(vitals).toMatchObject({ pid: this.worker.pid, polluted: null });
    return vitals;
  }

  /** The most memory that the worker has ever used, in bytes; 0 where the system does not tell. */
  peakMemory(): number {
    const status = `/proc/${this.worker.pid}/status`;
    return existsSync(status) ? Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(status, 'utf8'))?.[1] ?? 0) * 1024 : 0;
  }

  /** Stops the worker in order; then nothing may be left in the queues, as what it had not acknowledged would be. */
  async expectNothingLeft(): Promise<void> {
    expect(await this.worker.stop()).toBe(0);
    for (const queue of [QUEUE, `${QUEUE}.lost`, `${QUEUE}.dead`]) {
      expect(await this.channel.checkQueue(queue)).toMatchObject({ queue, messageCount: 0, consumerCount: 0 });
    }
    this.services.assertKept(JSON.stringify(this.worker.log));
  }

  async close(): Promise<void> {
    await this.worker.kill();
    await this.app.stop();
    await this.#connection.close();
    await this.services.drop();
  }
}
