import type { Argv } from 'yargs';
import { countOption, sizeOption } from '../option-values.js';

/** `--processes` and what replaces one of them. */
export function processOptions<T>(parser: Argv<T>) {
  return parser.options({
    processes: {
      type: 'string',
      requiresArg: true,
      describe: 'Run so many worker processes, each with its own concurrency, and replace those that die',
    },
    'max-tasks-per-child': {
      type: 'string',
      requiresArg: true,
      describe: 'Replace a process that has run so many tasks',
    },
    'max-memory-per-child': {
      type: 'string',
      requiresArg: true,
      describe: "Replace a process that uses more memory, such as '400MB'",
    },
  });
}

export interface ProcessFlags {
  readonly processes: string | undefined;
  readonly maxTasksPerChild: string | undefined;
  readonly maxMemoryPerChild: string | undefined;
}

/** When a process has had enough. */
export interface ProcessLimits {
  /** Tasks; Infinity: no limit. */
  readonly tasks: number;
  /** Bytes of resident memory; Infinity: no limit. */
  readonly memory: number;
}

export interface ProcessPlan {
  readonly processes: number;
  readonly limits: ProcessLimits;
}

/** null: this process is the worker. LOVAGE_USAGE for a value that cannot be. */
export function processPlanOf(flags: ProcessFlags): ProcessPlan | null {
  const processes = countOption(flags.processes, '--processes');
  const tasks = countOption(flags.maxTasksPerChild, '--max-tasks-per-child');
  const memory = sizeOption(flags.maxMemoryPerChild, '--max-memory-per-child');
  if (processes === undefined && tasks === undefined && memory === undefined) return null;
  return { processes: processes ?? 1, limits: { tasks: tasks ?? Infinity, memory: memory ?? Infinity } };
}
