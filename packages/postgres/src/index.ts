export { createResultBackend } from './create-result-backend.js';
