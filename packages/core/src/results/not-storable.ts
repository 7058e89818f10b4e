import { LovageError } from '../errors/lovage-error.js';
import type { OutboxMessage } from '../outbox/outbox.js';
import { unstorableReason } from '../payload/storable.js';
import type { RecordWrite } from './task-record.js';

/** What PostgreSQL would refuse of a record and the messages written with it; null: it takes them. The in-memory twin's rule 7. */
export function notStorable(record: RecordWrite | null, messages: readonly OutboxMessage[]): LovageError | null {
  const { argsJson = null, kwargsJson = null, resultJson = null, progressJson = null } = record ?? {};
  for (const json of [argsJson, kwargsJson, resultJson, progressJson]) {
    const reason = json === null ? null : unstorableReason(json);
    if (reason !== null) return refusal(`the record of ${record?.id ?? ''}`, reason);
  }
  for (const { taskId, message } of messages) {
    const reason = unstorableReason(JSON.stringify({ ...message, body: null }));
    if (reason !== null) return refusal(`a message of ${taskId}`, reason);
  }
  return null;
}

function refusal(what: string, reason: string): LovageError {
  return new LovageError('LOVAGE_RESULT_NOT_STORABLE', `${what} cannot be stored: ${reason}`);
}
