export * from './result-backend-conformance.js';
