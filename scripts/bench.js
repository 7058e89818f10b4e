// @ts-check
'use strict';

// npm run bench [-- CASE… OPTIONS]: installs and builds what is missing, then measures with services that are up; see benchmarks/README.md.
const { ROOT, ensureBuilt } = require('./ensure-installed.js');
const { withServices } = require('./services/with-services.js');

ensureBuilt();
process.chdir(ROOT);
void withServices(({ run }) =>
  run(process.execPath, ['--import', 'jiti/register', 'benchmarks/main.ts', ...process.argv.slice(2)]),
);
