import { defineCase } from './case.js';
import { optionsOf, readOptions, usageOf } from './options.js';

const short = defineCase({
  name: 'short',
  measures: 'little',
  options: {
    tasks: { full: 100, small: 1, doc: 'tasks' },
    sizes: { full: [1, 2], small: [1], doc: 'sizes' },
  },
  async *comparisons() {},
});
const bar = defineCase({ name: 'bar', measures: 'goals', options: {}, async *comparisons() {} });
const KNOWN = [short, bar];

describe('the command line of the benchmarks', () => {
  it('runs every case but bar in five rounds, where nothing is said', () => {
    const options = readOptions([], KNOWN);
    expect(options).toMatchObject({ cases: [short], rounds: 5, small: false });
    expect(optionsOf(short, options)).toEqual({ tasks: 100, sizes: [1, 2] });
  });

  it('takes small sizes with --small, and what is said over them', () => {
    const options = readOptions(['short', '--small', '--sizes', '7,8'], KNOWN);
    expect(options.rounds).toBe(1);
    expect(optionsOf(short, options)).toEqual({ tasks: 1, sizes: [7, 8] });
  });

  it.each([
    [['nope'], "expected a case, one of short, bar, got 'nope'"],
    [['short', '--tasks', 'many'], "expected --tasks to be a whole number, got 'many'"],
    [['bar', '--tasks', '5'], 'no case of this run has --tasks: short has'],
    [['--rounds', '0'], 'expected --rounds to be at least 1, got 0'],
  ])('refuses %j', (args, message) => {
    expect(() => readOptions(args, KNOWN)).toThrow(message);
  });

  it('names every case and option', () => {
    expect(usageOf(KNOWN)).toMatch(/short +little[^]*--sizes N,N… +short: sizes \(1,2\)/);
  });
});
