import { execFileSync } from 'node:child_process';
import * as core from '@lovage/core';
import * as lovage from './index.js';

test('the face of the package is what users call', () => {
  expect(Object.keys(lovage).sort()).toEqual(
    `Arg AsyncResult ERROR_CODES Lovage LovageError Relay Returns Task TaskContext TaskHandle Worker createLogger guardProcess isFinalState isLovageApp
     isLovageError logEvents maskUrl`.split(/\s+/),
  );
});

test("its classes are core's own, not copies", () => {
  expect(lovage.Lovage).toBe(core.Lovage);
  expect(lovage.TaskContext).toBe(core.TaskContext);
});

test('a caller loads neither what logs nor what revives DTOs', () => {
  const script = `require('lovage'); console.log(Object.keys(require.cache).filter((file) => /winston|class-transformer/.test(file)).length)`;
  expect(execFileSync(process.execPath, ['-e', script], { cwd: __dirname, encoding: 'utf8' })).toBe('0\n');
});
