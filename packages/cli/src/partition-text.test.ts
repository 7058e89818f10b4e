import type { PartitionChanges } from '@lovage/core';
import { describePartitions } from './partition-text.js';
import { stdoutOf } from './terminal.js';

test('what has become of partitions is told, and what would', () => {
  const { colors } = stdoutOf({ stdout: { isTTY: false }, env: {} } as unknown as Parameters<typeof stdoutOf>[0]);
  const changes: PartitionChanges = {
    period: 'day',
    made: ['a'],
    dropped: ['b'],
    held: [{ name: 'c', because: 'open' }],
  };
  const kept = 'kept c: it holds a record that is not final';
  expect(describePartitions(changes, { colors, dryRun: false })).toEqual(['made a', 'dropped b', kept]);
  expect(describePartitions(changes, { colors, dryRun: true })).toEqual(['would make a', 'would drop b', kept]);
});
