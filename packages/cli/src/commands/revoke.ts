import { appOption, jsonOption, retryOption } from '../app-options.js';
import { defineCommand } from '../command.js';
import type { ExitName } from '../exit-codes.js';
import { idsOf, idsPositional } from '../task-ids.js';
import { stderrOf, stdoutOf } from '../terminal.js';
import { retryOf, showConnectionRetries, withApp } from '../with-app.js';

/** `lovage revoke`: ends tasks REVOKED, wherever they are. */
export const command = defineCommand({
  build: (parser) =>
    idsPositional(retryOption(jsonOption(appOption(parser))))
      .options({
        terminate: { type: 'boolean', default: false, describe: 'Stop those that run, too' },
        reason: { type: 'string', requiresArg: true, describe: 'Why: shown with the record and in the log' },
      })
      .example('$0 revoke 01a2b3c4-…', 'It ends REVOKED: one that waits is not run, one that runs counts for nothing')
      .example(
        '$0 revoke 01a2b3c4-… --terminate',
        'Abort its signal where it runs, and give it up after revocations.grace',
      )
      .example('xargs $0 revoke --reason "wrong prices" < ids.txt', 'Many: ends with 1 unless all are REVOKED'),

  run: (options, io) =>
    withApp(options.app, io, async (app): Promise<ExitName> => {
      showConnectionRetries(app, io);
      await app.connectResults(retryOf(options));
      const { terminate, reason } = options;
      const ends = await app.revoke(idsOf(options, { words: 1 }), { terminate, reason });
      if (options.json) {
        const rows = ends.map(({ id, state }) => ({ id, revoked: state === 'REVOKED', state }));
        stdoutOf(io).line(JSON.stringify(rows));
      } else {
        for (const { id, state } of ends) {
          if (state === 'REVOKED') stdoutOf(io).line(`${id}: revoked`);
          else stderrOf(io).line(`${id}: has ended already: it is ${state}`);
        }
      }
      return ends.every(({ state }) => state === 'REVOKED') ? 'ok' : 'failure';
    }),
});
