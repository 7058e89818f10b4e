// @ts-check
'use strict';

const path = require('node:path');
const { default: Sequencer } = require('@jest/test-sequencer');

/**
 * What takes minutes, the longest first. Jest knows how long a file took the last time; on a fresh clone it goes by size, and these are small: the last of them would run alone at the end.
 */
const LONGEST = [
  'test/docs/how-to',
  'test/packages/install',
  'test/fault/parked',
  'test/fault/storm',
  'test/fault/fault',
  'test/e2e/',
  'test/fault/',
  'test/',
];

/** @param {import('@jest/test-result').Test} test */
function rank({ path: file, context }) {
  const name = path.relative(context.config.rootDir, file).split(path.sep).join('/');
  const found = LONGEST.findIndex((prefix) => name.startsWith(prefix));
  return found === -1 ? LONGEST.length : found;
}

class LongestFirst extends Sequencer {
  /**
   * @override
   * @param {import('@jest/test-result').Test[]} tests
   */
  async sort(tests) {
    const sorted = await super.sort(tests);
    return [...sorted].sort((a, b) => rank(a) - rank(b));
  }
}

module.exports = LongestFirst;
