import { fuzzRun } from './fuzz-run.js';

// The short form of the fuzzer of `npm run test:fault`: docs/explanation/reliability.md.

/** Other messages: FAULT_SEED=7 npm test -- fuzz */
const SEED = Number(process.env['FAULT_SEED'] ?? 1);

jest.setTimeout(180_000);

it(`ends every mutated message: acknowledged, dead or recorded (seed ${SEED})`, async () => {
  const { violations, dead, recorded } = await fuzzRun({ seed: SEED, messages: 2_000 });
  expect(violations).toEqual([]);
  expect(dead).toBeGreaterThan(0);
  expect(recorded).toBeGreaterThan(0);
});
