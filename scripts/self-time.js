// @ts-check
'use strict';

// node scripts/self-time.js FILE.cpuprofile [LINES [SECONDS]]: where the time of a process went, by package and by function, as shares of what it worked, its first
// SECONDS left out;
// see docs/explanation/performance.md.
const fs = require('node:fs');
const { fileURLToPath } = require('node:url');

const [file, lines = '40', seconds = '0'] = process.argv.slice(2);
if (file === undefined) {
  console.error(
    'self-time: expected a profile of node --cpu-prof. Usage: node scripts/self-time.js FILE.cpuprofile [LINES [SECONDS]]',
  );
  process.exit(2);
}

/** @type {{ nodes: { id: number, callFrame: { functionName: string, url: string, lineNumber: number } }[], samples: number[], timeDeltas: number[] }} */
const { nodes, samples, timeDeltas } = JSON.parse(fs.readFileSync(file, 'utf8'));

/** @type {Map<number, number>} */
const selfTimes = new Map();
let at = 0;
samples.forEach((id, index) => {
  const time = timeDeltas[index] ?? 0;
  at += time;
  if (at >= Number(seconds) * 1e6) selfTimes.set(id, (selfTimes.get(id) ?? 0) + time);
});

/** @type {Map<string, number>} */
const packages = new Map();
/** @type {Map<string, number>} */
const functions = new Map();
for (const { id, callFrame } of nodes) {
  const { functionName, lineNumber } = callFrame;
  if (functionName === '(idle)') continue;
  const place = placeOf(callFrame.url);
  add(packages, place.package ?? functionName, id);
  add(
    functions,
    place.file === '' ? functionName : `${functionName || '(anonymous)'} ${place.file}:${lineNumber + 1}`,
    id,
  );
}
print(packages, 15);
console.log();
print(functions, Number(lines));

/** @param {Map<string, number>} times @param {string} name @param {number} id */
function add(times, name, id) {
  times.set(name, (times.get(name) ?? 0) + (selfTimes.get(id) ?? 0));
}

/** @param {Map<string, number>} times @param {number} count */
function print(times, count) {
  const total = [...times.values()].reduce((sum, time) => sum + time, 0);
  const longest = [...times].sort(([, a], [, b]) => b - a).slice(0, count);
  for (const [name, time] of longest) console.log(`${((100 * time) / total).toFixed(1).padStart(6)} %  ${name}`);
}

/** @param {string} url @returns {{ package: string | null, file: string }} */
function placeOf(url) {
  if (!url.startsWith('file:')) return { package: url.startsWith('node:') ? 'node' : null, file: url };
  const path = fileURLToPath(url);
  const found = /.*\/(?:packages|node_modules)\/((?:@[^/]+\/)?[^/]+)\/(.*)/.exec(path);
  return { package: found?.[1] ?? path, file: found === null ? path : `${found[1]}/${found[2]}` };
}
