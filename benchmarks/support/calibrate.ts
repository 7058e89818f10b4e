import { burn } from '../programmes/burn.mjs';

/** How many turns of `burn` take this machine so many milliseconds, when nothing disturbs it. */
export function turnsIn(ms: number): number {
  const TURNS = 1_000_000;
  burn(TURNS);
  const times = Array.from({ length: 20 }, () => {
    const started = performance.now();
    burn(TURNS);
    return performance.now() - started;
  });
  return Math.round((TURNS * ms) / Math.min(...times));
}
