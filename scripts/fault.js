// @ts-check
'use strict';

// npm run test:fault [-- OPTIONS]: installs and builds what is missing, then kills and cuts off with services that are up; see docs/explanation/reliability.md.
const { ROOT, ensureBuilt } = require('./ensure-installed.js');
const { withServices } = require('./services/with-services.js');

ensureBuilt();
process.chdir(ROOT);
void withServices(({ run }) =>
  run(process.execPath, ['--import', 'jiti/register', 'test/fault/main.ts', ...process.argv.slice(2)]),
);
