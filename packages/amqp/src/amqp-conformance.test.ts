import { describeTransport } from '@lovage/testing';
import { isolatedBroker } from '../../../test/support/isolated-broker.js';
import type { IsolatedBroker } from '../../../test/support/isolated-broker.js';
import { client } from '../test/support.js';

let broker: IsolatedBroker;
beforeAll(async () => (broker = await isolatedBroker()));
afterAll(() => broker.drop());

describeTransport('amqp', () => ({ connect: () => client(broker.url).transport }));
describeTransport('amqp, with a small window', () => ({
  connect: () => client(broker.url, { confirmWindow: 7 }).transport,
}));
