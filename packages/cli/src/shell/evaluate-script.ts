import path from 'node:path';
import { LovageError } from '@lovage/core';
import type { CliIo } from '../cli-io.js';
import { showValue } from '../show-value.js';
import { stdoutOf } from '../terminal.js';
import type { ShellScope } from './scope-of.js';

export interface ScriptOptions {
  readonly scope: ShellScope;
  readonly io: CliIo;
  /** `eval` (whose value is printed if it is one expression) or `stdin`; stack traces show it. */
  readonly name: 'eval' | 'stdin';
}

/**
 * Runs code as a module: TypeScript or JavaScript, with imports relative to the working directory, top-level await, and the scope's names as globals.
 *
 * @throws LOVAGE_USAGE for code that cannot be parsed; else what the code throws.
 */
export async function evaluateScript(code: string, options: ScriptOptions): Promise<void> {
  const { io, scope, name } = options;
  const { createJiti } = await import('jiti');
  const filename = path.join(io.cwd, `[${name}].ts`);
  const jiti = createJiti(filename, { interopDefault: false, fsCache: false });
  const expression = `export default (\n${code.replace(/;\s*$/, '')}\n)`;
  const isExpression = name === 'eval' && parseProblem(expression) === null;
  const source = isExpression ? expression : code;
  const problem = parseProblem(source);
  if (problem !== null) throw new LovageError('LOVAGE_USAGE', `the code cannot be parsed: ${problem}`);
  const restore = defineGlobals(scope);
  try {
    const evaluated = (await jiti.evalModule(source, {
      id: filename,
      filename,
      ext: '.ts',
      async: true,
      forceTranspile: true,
    })) as {
      readonly default?: unknown;
    };
    if (!isExpression) return;
    const value = await evaluated.default;
    const { line, colors } = stdoutOf(io);
    if (value !== undefined) line(showValue(value, { colors }));
  } finally {
    restore();
  }

  function parseProblem(text: string): string | null {
    const output = jiti.transform({ source: text, filename, ts: true, async: true });
    // How jiti reports what it cannot parse: code that would throw it.
    const report = /^exports\.__JITI_ERROR__ = (\{.*\})$/s.exec(output)?.[1];
    if (report === undefined) return null;
    const { line, column, message } = JSON.parse(report) as { line: number; column: number; message: string };
    return `${message.trim()} at line ${line}, column ${column}`;
  }
}

function defineGlobals(scope: ShellScope): () => void {
  const before = new Map(Object.keys(scope).map((key) => [key, Object.getOwnPropertyDescriptor(globalThis, key)]));
  for (const [key, value] of Object.entries(scope)) {
    Object.defineProperty(globalThis, key, { value, configurable: true, writable: true, enumerable: true });
  }
  return () => {
    for (const [key, descriptor] of before) {
      if (descriptor === undefined) Reflect.deleteProperty(globalThis, key);
      else Object.defineProperty(globalThis, key, descriptor);
    }
  };
}
