import { describeTransport } from '@lovage/testing';
import { TestSchema, brokerSettings } from '../test/support.js';
import { RecordedEvents } from '../test/support.js';
import { createTransport } from './create-transport.js';

// One schema for all tests, emptied after each: to create one takes longer than most tests.
const schema = new TestSchema();

beforeAll(() => schema.migrate());
afterAll(() => schema.dispose());

describe.each([
  ['postgres', {}],
  ['postgres, without prepared statements', { prepare: false }],
])('%s', (name, fields) => {
  describeTransport(name, () => ({
    connect: () => createTransport(brokerSettings({ schema: schema.name, ...fields }), new RecordedEvents().context),
    dispose: async () => void (await schema.sql('TRUNCATE outbox, queues, consumers')),
  }));
});
