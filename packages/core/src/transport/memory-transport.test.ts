import { MemoryTransport, systemRuntime } from '@lovage/core';
import { describeTransport } from '@lovage/testing';
describeTransport('memory', () => {
  const url = `memory://${systemRuntime.uuid()}`;
  return { connect: () => new MemoryTransport(url) };
});
