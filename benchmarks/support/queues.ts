import amqp from 'amqplib';

/** Deletes queues and exchanges of RabbitMQ; harmless where there are none. */
export async function deleteQueues(
  url: string,
  queues: readonly string[],
  exchanges: readonly string[] = [],
): Promise<void> {
  const connection = await amqp.connect(url);
  const channel = await connection.createChannel();
  for (const queue of queues) await channel.deleteQueue(queue);
  for (const exchange of exchanges) await channel.deleteExchange(exchange);
  await connection.close();
}

/** Messages of a queue that no worker has; 0 if there is no such queue. */
export async function messagesIn(url: string, queue: string): Promise<number> {
  const connection = await amqp.connect(url);
  try {
    const channel = await connection.createChannel();
    channel.on('error', () => undefined); // where the queue is not: the call rejects too
    return (await channel.checkQueue(queue)).messageCount;
  } catch (error) {
    if ((error as { readonly code?: unknown }).code === 404) return 0;
    throw error;
  } finally {
    await connection.close();
  }
}

/** A queue of Lovage and those that stand beside it. */
export function withSides(queue: string): readonly string[] {
  return [queue, `${queue}.lost`, `${queue}.dead`];
}
