export { createTransport } from './amqp-transport.js';
