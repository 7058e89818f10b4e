import path from 'node:path';
import { runNode } from '../support/lovage-process.js';

const LOVAGE = path.join(__dirname, '../../packages/lovage/dist/index.js');

// In a process of its own: Node's warnings do not reach a test under Jest.
it('a program may wait for many results at once, and hears no warning of Node', async () => {
  const script = `
    const { Lovage } = require(${JSON.stringify(LOVAGE)});
    const app = new Lovage({ broker: 'memory:', results: 'memory:' });
    const waits = Array.from({ length: 20 }, (_, index) => app.result('id-' + index).get({ timeout: 20 }));
    Promise.allSettled(waits).then((ends) => {
      console.log(ends.map(({ reason }) => reason.code).join(' '));
      return app.stop();
    });`;
  const ended = await runNode(['-e', script]);
  expect(ended).toMatchObject({ code: 0, stderr: '' });
  expect(new Set(ended.stdout.trim().split(' '))).toEqual(new Set(['LOVAGE_RESULT_TIMEOUT']));
});
