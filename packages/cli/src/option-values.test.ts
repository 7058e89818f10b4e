import { sizeOption } from './option-values.js';

it.each([
  ['1KB', 1_000],
  ['400MB', 400_000_000],
  ['0.5g', 500_000_000],
  ['512MiB', 536_870_912],
  ['512Mi', 536_870_912],
  [undefined, undefined],
])('reads the size %s', (text, bytes) => {
  expect(sizeOption(text, '--size')).toBe(bytes);
});

// Celery counts in KiB, others in bytes: a number without a unit would be misread by somebody.
it.each(['400', '0MB', '-1MB', 'MB', '4 MB', '1e3MB', '400Mb/s'])('takes no %s for a size', (text) => {
  expect(() => sizeOption(text, '--size')).toThrow("expected --size to be a size with its unit, such as '400MB'");
});
