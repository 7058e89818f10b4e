/** The channels that we listen on. A `replyTo` of another form belongs to somebody else (Celery's rpc queue) and is never notified. */
const PATTERN = /^lovage_[0-9a-f]{32}$/;

/** PostgreSQL takes less than 8,000. */
const MAX_PAYLOAD_BYTES = 7_900;

export function replyChannelOf(uuid: string): string {
  return `lovage_${uuid.replaceAll('-', '')}`;
}

export function isReplyChannel(replyTo: string): boolean {
  return PATTERN.test(replyTo);
}

/** JSON arrays of the ids, each short enough for one notification. */
export function wakePayloads(ids: Iterable<string>): readonly string[] {
  const payloads: string[] = [];
  let items: string[] = [];
  let bytes = 2;
  for (const id of ids) {
    const item = JSON.stringify(id);
    const size = Buffer.byteLength(item) + 1;
    if (bytes + size > MAX_PAYLOAD_BYTES) {
      payloads.push(`[${items.join(',')}]`);
      items = [];
      bytes = 2;
    }
    items.push(item);
    bytes += size;
  }
  if (items.length > 0) payloads.push(`[${items.join(',')}]`);
  return payloads;
}

/** The ids of a payload; none where it is not one of ours: anybody in the database may notify. */
export function wokenIds(payload: string): readonly string[] {
  try {
    const ids = JSON.parse(payload) as unknown;
    return Array.isArray(ids) ? ids.filter((id) => typeof id === 'string') : [];
  } catch {
    return [];
  }
}
