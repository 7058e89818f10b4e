// @ts-check
'use strict';

// npm test [-- JEST ARGUMENTS]: installs and builds what is missing, then runs Jest with services that are up.
const { ROOT, ensureBuilt } = require('./ensure-installed.js');
const { withServices } = require('./services/with-services.js');

ensureBuilt();
process.chdir(ROOT);
void withServices(({ run }) => run(process.execPath, ['node_modules/jest/bin/jest.js', ...process.argv.slice(2)]));
