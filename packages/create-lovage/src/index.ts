export * from './create-io.js';
export * from './main.js';
export * from './process-io.js';
