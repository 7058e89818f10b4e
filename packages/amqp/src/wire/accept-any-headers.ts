/** What is touched of amqplib's inner connection. */
interface FrameReader {
  /** Bytes received and not yet decoded; a whole frame stands at its start when one is decoded. */
  rest: Buffer;
  /** Takes one frame off `rest` and decodes it. */
  recvFrame(): unknown;
}

const FRAME_HEADER = 2;
const FRAME_PREFIX_BYTES = 7;
/** Class, weight and body size stand before the property flags. */
const PROPERTY_FLAGS_OFFSET = FRAME_PREFIX_BYTES + 12;
const HAS_CONTENT_TYPE = 0x8000;
const HAS_CONTENT_ENCODING = 0x4000;
const HAS_HEADERS = 0x2000;
const LONG_TAG = 'L'.charCodeAt(0);
const INT64_TAG = 'l'.charCodeAt(0);
const TABLE_TAG = 'F'.charCodeAt(0);
const BYTES_TAG = 'x'.charCodeAt(0);
/** Far more than anybody nests headers, and far less than what overflows a stack (about 3,000 in amqplib). */
const MAX_DEPTH = 200;

/**
 * Lets one amqplib connection survive headers that its decoder cannot read: integers with the tag `L`, which py-amqp (Celery) writes beyond 32 bits, and
 * tables nested so deep that the decoder overflows the stack.
 *
 * amqplib 2.3.1 throws while it decodes such a message and drops the connection; the broker redelivers the message and the next connection dies too.
 * RabbitMQ reads `L` as it reads `l`, a signed 64-bit integer; a table or a list has the layout of a byte string. So on that failure the tags of the
 * frame at hand are rewritten and it is decoded again. A message that amqplib can read never gets here: no cost.
 *
 * This wraps `recvFrame` of the connection object, not a module: amqplib's `exports` hide its codec, and it may have been loaded
 * (and its decoder captured) by somebody else before us. Should an amqplib rename these two members, this answers false, the
 * supervisor warns at each connection, and the test beside this file fails. Should it learn the tag, nothing is ever caught.
 */
export function acceptAnyHeaders(connection: object): boolean {
  const reader = connection as Partial<FrameReader>;
  const receive = reader.recvFrame;
  if (typeof receive !== 'function' || !Buffer.isBuffer(reader.rest)) return false;
  reader.recvFrame = function recvFrame(this: FrameReader) {
    const unread = this.rest;
    try {
      return receive.call(this);
    } catch (error) {
      if (!rewriteTags(unread)) throw error;
      this.rest = unread;
      return receive.call(this);
    }
  };
  return true;
}

/** Turns each `L` in the headers of the frame at the start of `bytes` into `l`, and what is nested too deep into bytes, in place. False if there is none, or no such frame. */
export function rewriteTags(bytes: Buffer): boolean {
  try {
    if (bytes.readUInt8(0) !== FRAME_HEADER) return false;
    const flags = bytes.readUInt16BE(PROPERTY_FLAGS_OFFSET);
    if ((flags & HAS_HEADERS) === 0) return false;
    let offset = PROPERTY_FLAGS_OFFSET + 2;
    if ((flags & HAS_CONTENT_TYPE) !== 0) offset += 1 + bytes.readUInt8(offset);
    if ((flags & HAS_CONTENT_ENCODING) !== 0) offset += 1 + bytes.readUInt8(offset);
    const walker = new TableWalker(bytes);
    walker.table(offset);
    return walker.rewritten > 0;
  } catch {
    return false; // cut short or unreadable: then the first error was the right one
  }
}

class TableWalker {
  readonly #bytes: Buffer;
  rewritten = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  /** Each of these takes the offset of what it reads and gives the offset after it. */
  table(offset: number, depth = 0): number {
    const end = offset + 4 + this.#bytes.readUInt32BE(offset);
    for (let at = offset + 4; at < end;) at = this.#value(at + 1 + this.#bytes.readUInt8(at), depth);
    return end;
  }

  #array(offset: number, depth: number): number {
    const end = offset + 4 + this.#bytes.readUInt32BE(offset);
    for (let at = offset + 4; at < end;) at = this.#value(at, depth);
    return end;
  }

  #nested(offset: number, depth: number): number {
    const data = offset + 1;
    if (depth < MAX_DEPTH)
      return this.#bytes.readUInt8(offset) === TABLE_TAG ? this.table(data, depth + 1) : this.#array(data, depth + 1);
    this.#bytes.writeUInt8(BYTES_TAG, offset);
    this.rewritten += 1;
    return data + 4 + this.#bytes.readUInt32BE(data);
  }

  #value(offset: number, depth: number): number {
    const tag = this.#bytes.readUInt8(offset);
    const data = offset + 1;
    if (tag === LONG_TAG) {
      this.#bytes.writeUInt8(INT64_TAG, offset);
      this.rewritten += 1;
      return data + 8;
    }
    switch (String.fromCharCode(tag)) {
      case 'V':
        return data;
      case 't':
      case 'b':
      case 'B':
        return data + 1;
      case 's':
      case 'u':
        return data + 2;
      case 'I':
      case 'i':
      case 'f':
        return data + 4;
      case 'D':
        return data + 5;
      case 'l':
      case 'd':
      case 'T':
        return data + 8;
      case 'S':
      case 'x':
        return data + 4 + this.#bytes.readUInt32BE(data);
      case 'F':
      case 'A':
        return this.#nested(offset, depth);
      default:
        throw new RangeError(`no such tag: ${tag}`);
    }
  }
}
