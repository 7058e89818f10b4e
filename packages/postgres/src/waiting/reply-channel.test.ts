import { systemRuntime } from '@lovage/core';
import { isReplyChannel, replyChannelOf, wakePayloads, wokenIds } from './reply-channel.js';

describe('reply channels', () => {
  it('are told from the reply queues of others', () => {
    expect(isReplyChannel(replyChannelOf(systemRuntime.uuid()))).toBe(true);
    for (const foreign of [
      '',
      'lovage_',
      'lovage_x',
      systemRuntime.uuid(),
      `x${replyChannelOf(systemRuntime.uuid())}`,
    ]) {
      expect(isReplyChannel(foreign)).toBe(false);
    }
  });

  it('carry payloads of at most 7,900 bytes that hold every id', () => {
    const plain = Array.from({ length: 1_000 }, () => systemRuntime.uuid());
    const odd = Array.from({ length: 100 }, (_, index) => `${index}",\\é𝄞\u0001`.padEnd(255, '𝄞\u0001'));
    for (const ids of [plain, odd, [...plain, ...odd]]) {
      const payloads = wakePayloads(ids);
      for (const payload of payloads) expect(Buffer.byteLength(payload)).toBeLessThanOrEqual(7_900);
      expect(payloads.flatMap(wokenIds)).toEqual(ids);
    }
    expect(wakePayloads(plain)).toHaveLength(5);
    expect(wakePayloads([])).toEqual([]);
  });

  it('ignore what is no payload of ours', () => {
    for (const payload of ['', 'hello', '{"a":1}', 'null', '[1,null,{}]']) expect(wokenIds(payload)).toEqual([]);
  });
});
