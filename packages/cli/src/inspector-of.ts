import { LovageError, type QueueInspector, type Transport } from '@lovage/core';

/** A transport's power to look into queues. LOVAGE_DRIVER where it has none. */
export function inspectorOf(transport: Transport): QueueInspector {
  const { inspect } = transport.capabilities;
  if (inspect === undefined)
    throw new LovageError('LOVAGE_DRIVER', 'the transport of this app cannot look into queues');
  return inspect;
}
