import { systemRuntime } from '@lovage/core';
import { endOf, idPrefixAt, instantOf, periodOf, startOf } from './periods.js';

const at = (time: string): number => Date.parse(`${time}Z`);

describe('periods', () => {
  it.each([
    ['day', '2026-11-28T04:13:09.123', '2026-11-28T00:00', '2026-11-29T00:00'],
    ['day', '2026-11-28T00:00', '2026-11-28T00:00', '2026-11-29T00:00'],
    ['day', '2028-02-29T23:59:59.999', '2028-02-29T00:00', '2028-03-01T00:00'],
    ['week', '2026-11-28T04:13', '2026-11-23T00:00', '2026-11-30T00:00'],
    ['week', '2026-11-23T00:00', '2026-11-23T00:00', '2026-11-30T00:00'],
    ['week', '2026-11-29T23:59', '2026-11-23T00:00', '2026-11-30T00:00'],
    ['week', '2027-01-01T00:00', '2026-12-28T00:00', '2027-01-04T00:00'],
    ['month', '2026-11-28T04:13', '2026-11-01T00:00', '2026-12-01T00:00'],
    ['month', '2026-12-31T23:59', '2026-12-01T00:00', '2027-01-01T00:00'],
    ['month', '2027-02-01T00:00', '2027-02-01T00:00', '2027-03-01T00:00'],
  ] as const)('the %s of %s is from %s to %s', (period, instant, from, to) => {
    const start = startOf(period, at(instant));
    expect([start, endOf(period, start)]).toEqual([at(from), at(to)]);
    expect(periodOf({ from: start, to: endOf(period, start) })).toBe(period);
  });
});

describe('the prefix of an instant', () => {
  it('parts the ids made before from those made then and later', () => {
    const midnight = at('2026-11-28T00:00');
    expect(idPrefixAt(midnight)).toBe('01a21f73-9c00');
    expect('01a21f73-9bff-7fff-bfff-ffffffffffff' < idPrefixAt(midnight)).toBe(true);
    expect(idPrefixAt(midnight) < '01a21f73-9c00-7000-8000-000000000000').toBe(true);
    expect(instantOf(idPrefixAt(midnight))).toBe(midnight);
  });

  it('is that of the ids made now', () => {
    const before = Date.now();
    const id = systemRuntime.uuid();
    expect(instantOf(id.slice(0, 13))).toBeGreaterThanOrEqual(before);
    expect(instantOf(id.slice(0, 13))).toBeLessThanOrEqual(Date.now());
  });

  it('grows with time, in bytes', () => {
    // A digit becomes a letter; a letter a digit.
    const times = [at('2024-12-04T00:00'), at('2026-08-14T00:00'), at('2026-08-15T00:00'), at('2039-09-08T00:00')];
    const prefixes = times.map(idPrefixAt);
    expect([...prefixes].sort()).toEqual(prefixes);
    expect(prefixes.map(instantOf)).toEqual(times);
    expect(idPrefixAt(1)).toBe('00000000-0001');
  });
});
