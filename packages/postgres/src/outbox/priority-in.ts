import { escapeIdentifier } from 'pg';

/** The queue's priority for a message with the columns `queue` and `priority`: as in RabbitMQ, none where it keeps none apart, and its highest for a higher one. */
export function priorityIn(schema: string): string {
  return `CASE WHEN priority <= 0 THEN 0 ELSE LEAST(priority, COALESCE((SELECT max_priority FROM ${escapeIdentifier(schema)}.queues WHERE name = queue), 0)) END`;
}
