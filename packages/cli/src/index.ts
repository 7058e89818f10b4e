export type { CliIo, CliOutput } from './cli-io.js';
export { EXIT_CODES, type ExitName } from './exit-codes.js';
export { main } from './main.js';
export { processIo } from './process-io.js';
