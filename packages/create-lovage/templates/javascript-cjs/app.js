const { Lovage } = require('lovage');

// Its broker and its results come from `lovage dev`, or from LOVAGE_BROKER and LOVAGE_RESULTS.
exports.app = new Lovage({ name: '{{name}}' })
  .configFromObject(process.env, { namespace: 'LOVAGE' })
  .autodiscover(['math'], { from: __filename }); // finds ./math/tasks.{{extension}}
