import type { Headers, HeaderValue } from '@lovage/core';

const INITIAL_BYTES = 16 * 1024;
/** A buffer that one large message has made larger than this is not kept. */
const KEPT_BYTES = 1024 * 1024;
/** A character of a JavaScript string takes at most so many bytes of UTF-8. */
const BYTES_PER_CHARACTER = 3;
const SHORT_TEXT_BYTES = 255;

const INT32_MIN = -(2 ** 31);
const INT32_MAX = 2 ** 31 - 1;
const INT64_LIMIT = 2 ** 63;

/** Writes AMQP 0-9-1's types one after another (RabbitMQ's tags in tables), into a buffer that grows. */
export class ByteWriter {
  #bytes = Buffer.allocUnsafeSlow(INITIAL_BYTES);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** Forgets what stands after the first `length` bytes. */
  cutTo(length: number): void {
    this.#length = length;
  }

  /** What was written, which is then forgotten here. */
  take(): Buffer {
    const taken = Buffer.from(this.#bytes.subarray(0, this.#length));
    if (this.#bytes.length > KEPT_BYTES) this.#bytes = Buffer.allocUnsafeSlow(INITIAL_BYTES);
    this.#length = 0;
    return taken;
  }

  /** These throw RangeError for a number that does not fit. */
  octet(value: number): void {
    const start = this.#reserve(1);
    this.#bytes.writeUInt8(value, start);
  }

  short(value: number): void {
    const start = this.#reserve(2);
    this.#bytes.writeUInt16BE(value, start);
  }

  long(value: number): void {
    const start = this.#reserve(4);
    this.#bytes.writeUInt32BE(value, start);
  }

  longLong(value: number): void {
    const start = this.#reserve(8);
    this.#bytes.writeBigInt64BE(BigInt(value), start);
  }

  /** Writes the size of what follows the long at `start` into that long, and gives it. */
  lengthSince(start: number): number {
    const size = this.#length - start - 4;
    this.#bytes.writeUInt32BE(size, start);
    return size;
  }

  bytes(value: Uint8Array): void {
    const start = this.#reserve(value.length);
    this.#bytes.set(value, start);
  }

  /** Throws RangeError for more than 255 bytes. */
  shortText(text: string): void {
    const start = this.#reserve(1);
    const size = this.#text(text);
    if (size > SHORT_TEXT_BYTES)
      throw new RangeError(`expected at most ${SHORT_TEXT_BYTES} bytes, got ${size}: ${text}`);
    this.#bytes[start] = size;
  }

  /**
   * Every integer is an int32, or an int64 when larger: py-amqp before 5.4.0 reads the tag of a 16-bit one as that of a short string, and loops on such a
   * message. Throws for NaN and the infinities, for what is no header,
   * and for what is nested too deep for the stack.
   */
  table(table: Headers): void {
    const start = this.#reserve(4);
    for (const key of Object.keys(table)) {
      const value = table[key];
      if (value === undefined) continue;
      this.shortText(key);
      this.#value(value);
    }
    this.lengthSince(start);
  }

  #value(value: HeaderValue): void {
    if (typeof value === 'string') {
      this.#tag('S');
      const start = this.#reserve(4);
      this.#text(value);
      this.lengthSince(start);
    } else if (typeof value === 'number') {
      this.#number(value);
    } else if (typeof value === 'boolean') {
      this.#tag('t');
      this.octet(value ? 1 : 0);
    } else if (value === null) {
      this.#tag('V');
    } else if (Array.isArray(value)) {
      this.#tag('A');
      const start = this.#reserve(4);
      for (const item of value as readonly HeaderValue[]) this.#value(item);
      this.lengthSince(start);
    } else if (typeof value === 'object') {
      this.#tag('F');
      this.table(value as Headers);
    } else {
      throw new TypeError(`expected a header, got a ${typeof value}`);
    }
  }

  #number(value: number): void {
    // RabbitMQ cannot read them, and closes the whole connection (541): sent again, such a message would close the next one too.
    if (!Number.isFinite(value)) throw new RangeError(`expected header numbers to be finite, got ${value}`);
    if (!Number.isInteger(value) || Math.abs(value) >= INT64_LIMIT) {
      this.#tag('d');
      const start = this.#reserve(8);
      this.#bytes.writeDoubleBE(value, start);
    } else if (value >= INT32_MIN && value <= INT32_MAX) {
      this.#tag('I');
      const start = this.#reserve(4);
      this.#bytes.writeInt32BE(value, start);
    } else {
      this.#tag('l');
      this.longLong(value);
    }
  }

  #tag(letter: string): void {
    this.octet(letter.charCodeAt(0));
  }

  /** Gives the number of bytes. */
  #text(text: string): number {
    const start = this.#reserve(text.length * BYTES_PER_CHARACTER);
    const size = this.#bytes.write(text, start, 'utf8');
    this.#length = start + size;
    return size;
  }

  /** Makes room, and gives where it begins. To be called before `#bytes` is read: growing replaces it. */
  #reserve(size: number): number {
    const start = this.#length;
    this.#length += size;
    if (this.#length > this.#bytes.length) this.#grow();
    return start;
  }

  #grow(): void {
    const larger = Buffer.allocUnsafeSlow(2 ** Math.ceil(Math.log2(this.#length)));
    larger.set(this.#bytes);
    this.#bytes = larger;
  }
}
