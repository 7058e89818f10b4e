// @ts-check
'use strict';

// npm run bench [-- [outbox|postgres] OPTIONS]: installs and builds what is missing, then measures with services that are up; see benchmarks/README.md.
const path = require('node:path');
const { ROOT, ensureBuilt } = require('./ensure-installed.js');
const { withServices } = require('./services/with-services.js');

ensureBuilt();
process.chdir(path.join(ROOT, 'benchmarks'));
const options = process.argv.slice(2);
const programme = ['outbox', 'postgres'].includes(options[0] ?? '') ? `${options.shift()}.ts` : 'throughput.ts';
void withServices(({ run }) => run(process.execPath, ['--import', 'jiti/register', programme, ...options]));
