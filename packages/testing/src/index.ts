export * from './result-backend-conformance.js';
export * from './transport-conformance.js';
