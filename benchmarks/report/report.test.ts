import { reading } from '../runner/case.js';
import { type Row, rowOf } from '../runner/figures.js';
import { barsOf } from './bars.js';
import type { Report } from './report.js';
import { markdownOf, tableOf } from './table.js';

describe('a report', () => {
  const round = { ours: { execute: 90 }, theirs: { execute: 100 } };
  const rows: Row[] = [
    rowOf(
      {
        figure: 'execute',
        unit: '/s',
        of: reading('ours', 'execute'),
        beside: reading('theirs', 'execute'),
        goal: { atLeast: 0.8 },
      },
      [round],
      { case: 'short', title: 'two' },
    ),
  ];
  const report: Report = {
    command: 'npm run bench -- short',
    machine: {
      cpu: 'A <fast> one',
      cores: 2,
      memoryGb: 4,
      system: 'Linux',
      date: '2026-01-01',
      versions: { Node: '20' },
    },
    rounds: 1,
    rows,
    skipped: ['Celery: not here'],
  };

  it('is a table', () => {
    expect(tableOf(rows)).toMatch(/execute +ours +90\.0\/s +theirs +100\/s +0\.90 +0\.90–0\.90 +≥ 0\.8 reached/);
  });

  it('is a page', () => {
    expect(markdownOf(report)).toContain('| execute | ours | 90.0/s | theirs | 100/s | 0.90 |');
    expect(markdownOf(report)).toContain('skipped: Celery: not here');
    expect(markdownOf(report)).toContain('1 of 1 goals reached');
  });

  it('is a plot', () => {
    expect(barsOf(report)).toContain('execute: ours ÷ theirs');
    expect(barsOf(report)).toContain('A &lt;fast> one');
  });
});
