import type { LovageError } from '../errors/lovage-error.js';
import type { Message } from '../message/message.js';
import type { QueueSpec, Transport } from './transport.js';

/**
 * Declares the queues of messages, then publishes; a queue that was deleted since is declared anew, once: nothing was taken of what came back. One entry a
 * message, as `Transport.publish`. Rejects as `Transport.declare` does.
 */
export async function publishDeclared(
  transport: Transport,
  queueSpec: (queue: string) => QueueSpec,
  messages: readonly Message[],
): Promise<readonly (LovageError | null)[]> {
  await declareAll(transport, queueSpec, messages);
  const outcomes = await transport.publish(messages);
  if (outcomes.every((outcome) => outcome?.code !== 'LOVAGE_UNROUTABLE')) return outcomes;
  const returned = messages.filter((_, index) => outcomes[index]?.code === 'LOVAGE_UNROUTABLE');
  await declareAll(transport, queueSpec, returned);
  const again = [...(await transport.publish(returned))];
  return outcomes.map((outcome) => (outcome?.code === 'LOVAGE_UNROUTABLE' ? (again.shift() ?? null) : outcome));
}

async function declareAll(
  transport: Transport,
  queueSpec: (queue: string) => QueueSpec,
  messages: readonly Message[],
): Promise<void> {
  const [first] = messages;
  if (first === undefined) return;
  // Nearly always one queue: that needs no set.
  const isOne = messages.every(({ queue }) => queue === first.queue);
  const queues = isOne ? [first.queue] : [...new Set(messages.map(({ queue }) => queue))];
  await transport.declare(queues.map(queueSpec));
}
