// @ts-check
'use strict';

const fs = require('node:fs');

/** Ends Jest's output with one line for programs: `N passed, N failed`. A file that could not run counts as one failure. */
class CountReporter {
  /** @param {unknown} _contexts @param {import('@jest/reporters').AggregatedResult} results */
  onRunComplete(_contexts, { numPassedTests, numFailedTests, numRuntimeErrorTestSuites }) {
    const line = `${numPassedTests} passed, ${numFailedTests + numRuntimeErrorTestSuites} failed\n`;
    // Jest's own summary always comes after the reporters that a configuration adds.
    process.once('exit', () => fs.writeSync(1, line));
  }
}

module.exports = CountReporter;
