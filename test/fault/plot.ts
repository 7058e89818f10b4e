export interface Series {
  readonly name: string;
  /** In rising order of x. */
  readonly points: readonly (readonly [x: number, y: number])[];
}

export interface Plot {
  readonly title: string;
  /** Of the x axis, which all panels share. */
  readonly unit: string;
  readonly panels: readonly { readonly title: string; readonly series: readonly Series[] }[];
}

const WIDTH = 800;
const PANEL_HEIGHT = 220;
const MARGIN = { left: 60, right: 20, top: 40, bottom: 30 };
const COLORS = ['#1f77b4', '#d62728', '#2ca02c', '#9467bd'] as const;
const TICKS = 5;

/** Lines over a common x axis, one panel below the other, each from zero. */
export function svgOf({ title, unit, panels }: Plot): string {
  const height = panels.length * PANEL_HEIGHT + MARGIN.top;
  const mostX = most(panels.flatMap(({ series }) => series.flatMap(({ points }) => points.map(([x]) => x))));
  const drawn = panels.map((panel, index) => {
    const mostY = most(panel.series.flatMap(({ points }) => points.map(([, y]) => y))) * 1.1;
    const top = MARGIN.top + index * PANEL_HEIGHT;
    const bottom = top + PANEL_HEIGHT - MARGIN.top - MARGIN.bottom;
    const x = (value: number): number => MARGIN.left + (value / mostX) * (WIDTH - MARGIN.left - MARGIN.right);
    const y = (value: number): number => bottom - (value / mostY) * (bottom - top);
    const ticks = Array.from({ length: TICKS + 1 }, (_, tick) => tick / TICKS);
    return [
      text([MARGIN.left, top - 8], panel.title),
      ...ticks.map((share) =>
        line([x(0), y(share * mostY)], [x(mostX), y(share * mostY)], share === 0 ? '#888' : '#ddd'),
      ),
      ...ticks.map((share) => text([MARGIN.left - 8, y(share * mostY) + 4], number(share * mostY), { anchor: 'end' })),
      ...ticks.map((share) => text([x(share * mostX), bottom + 16], number(share * mostX), { anchor: 'middle' })),
      ...panel.series.map(
        ({ points }, own) =>
          `<polyline fill="none" stroke="${colorOf(own)}" points="${points.map(([a, b]) => `${x(a).toFixed(1)},${y(b).toFixed(1)}`).join(' ')}"/>`,
      ),
      ...panel.series.map(({ name }, own) =>
        text([WIDTH - MARGIN.right - own * 80, top - 8], name, { anchor: 'end', color: colorOf(own) }),
      ),
    ].join('\n');
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="sans-serif" font-size="12">`,
    `<rect width="${WIDTH}" height="${height}" fill="white"/>`,
    text([WIDTH / 2, 16], `${title}, by ${unit}`, { anchor: 'middle' }),
    ...drawn,
    '</svg>\n',
  ].join('\n');
}

function most(list: readonly number[]): number {
  return list.reduce((largest, one) => Math.max(largest, one), 1);
}

function number(value: number): string {
  return value < 10 ? value.toFixed(1) : value.toFixed(0);
}

function colorOf(series: number): string {
  return COLORS[series % COLORS.length] as string;
}

type Point = readonly [x: number, y: number];

function text(
  [x, y]: Point,
  content: string,
  { anchor = 'start', color = 'black' }: { readonly anchor?: 'start' | 'middle' | 'end'; readonly color?: string } = {},
): string {
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" text-anchor="${anchor}" fill="${color}">${content}</text>`;
}

function line([x1, y1]: Point, [x2, y2]: Point, color: string): string {
  return `<line x1="${x1.toFixed(1)}" y1="${y1.toFixed(1)}" x2="${x2.toFixed(1)}" y2="${y2.toFixed(1)}" stroke="${color}"/>`;
}
