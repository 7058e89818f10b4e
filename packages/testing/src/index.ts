export * from './result-backend-conformance.js';
export * from './result-backend-fixture.js';
export * from './transport-conformance.js';
