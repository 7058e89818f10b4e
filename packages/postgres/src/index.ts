export { createResultBackend } from './create-result-backend.js';
export { createTransport } from './create-transport.js';
