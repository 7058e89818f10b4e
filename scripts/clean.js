// @ts-check
'use strict';

// npm run clean: removes what was built. `tsc -b --clean` would leave the output of modules that are gone, and npm pack would ship it.
const fs = require('node:fs');
const path = require('node:path');

const packages = path.join(__dirname, '..', 'packages');
for (const name of fs.readdirSync(packages))
  fs.rmSync(path.join(packages, name, 'dist'), { recursive: true, force: true });
