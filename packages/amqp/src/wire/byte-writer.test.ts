import { ByteWriter } from './byte-writer.js';

/** As many bytes as a new writer has room for. */
const ROOM = 16 * 1024;

describe('a writer whose room ends', () => {
  it.each<[string, (writer: ByteWriter) => void]>([
    ['an octet', (writer) => writer.octet(1)],
    ['a short', (writer) => writer.short(1)],
    ['a long', (writer) => writer.long(1)],
    ['a long long', (writer) => writer.longLong(1)],
    ['bytes', (writer) => writer.bytes(Buffer.of(1, 2, 3))],
    ['a short text', (writer) => writer.shortText('text')],
    [
      'a table',
      (writer) => writer.table({ i: 1, l: 2 ** 40, d: 0.5, t: true, v: null, s: 'text', a: [1], f: { i: 1 } }),
    ],
  ])('before, within or after %s makes more', (_what, write) => {
    const alone = new ByteWriter();
    write(alone);
    const expected = alone.take();
    for (let before = ROOM - expected.length - 1; before <= ROOM; before += 1) {
      const writer = new ByteWriter();
      writer.bytes(Buffer.alloc(before));
      write(writer);
      expect(writer.take().subarray(before)).toEqual(expected);
    }
  });
});
