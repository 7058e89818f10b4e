import { type Figure, reading, type Round } from './case.js';
import { rowOf } from './figures.js';

describe('a figure', () => {
  const figure: Figure = {
    figure: 'execute',
    unit: '/s',
    of: reading('ours', 'execute'),
    beside: reading('theirs', 'execute'),
    goal: { atLeast: 0.8 },
  };
  const round = (ours: number, theirs: number): Round => ({ ours: { execute: ours }, theirs: { execute: theirs } });
  const place = { case: 'short', title: 'two' };

  it('is the median of the rounds’ own ratios, not the ratio of the medians', () => {
    const row = rowOf(figure, [round(90, 100), round(10, 20), round(300, 300)], place);
    expect(row).toMatchObject({ value: 90, besideValue: 100, ratio: 0.9, spread: [0.5, 1], reached: true });
  });

  it('has not reached what was not measured', () => {
    expect(rowOf(figure, [round(NaN, 100)], place)).toMatchObject({ value: null, ratio: null, reached: null });
  });

  it('measures a value against its goal where nothing is beside it', () => {
    const { beside: _, ...alone } = figure;
    const row = rowOf({ ...alone, goal: { atMost: 5 } }, [round(6, 1)], place);
    expect(row).toMatchObject({ value: 6, beside: null, ratio: null, reached: false });
  });
});
