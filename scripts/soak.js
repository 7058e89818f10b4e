// @ts-check
'use strict';

// npm run soak [-- OPTIONS]: installs and builds what is missing, then keeps workers under load with services that are up; see docs/explanation/reliability.md.
const { ROOT, ensureBuilt } = require('./ensure-installed.js');
const { withServices } = require('./services/with-services.js');

ensureBuilt();
process.chdir(ROOT);
void withServices(({ run }) =>
  run(process.execPath, ['--import', 'jiti/register', 'test/fault/soak.ts', ...process.argv.slice(2)]),
);
