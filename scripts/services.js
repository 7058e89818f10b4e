// @ts-check
'use strict';

// npm run services -- CMD…: runs CMD with LOVAGE_BROKER and LOVAGE_RESULTS set to services that are up; see CONTRIBUTING.md.
const { ensureInstalled } = require('./ensure-installed.js');
const { withServices } = require('./services/with-services.js');

const [command, ...args] = process.argv.slice(2);
if (command === undefined) {
  console.error('services: expected a command, got none. Usage: npm run services -- CMD [ARG…]');
  process.exitCode = 2;
} else {
  ensureInstalled();
  void withServices(({ run }) => run(command, args));
}
