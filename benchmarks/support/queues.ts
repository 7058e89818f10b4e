import amqp from 'amqplib';

/** Deletes queues of RabbitMQ; harmless where there are none. */
export async function deleteQueues(url: string, queues: readonly string[]): Promise<void> {
  const connection = await amqp.connect(url);
  const channel = await connection.createChannel();
  for (const queue of queues) await channel.deleteQueue(queue);
  await connection.close();
}

/** A queue of Lovage and those that stand beside it. */
export function withSides(queue: string): readonly string[] {
  return [queue, `${queue}.lost`, `${queue}.dead`];
}
