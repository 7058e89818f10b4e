import { defineCommand } from '../command.js';
import type { ExitName } from '../exit-codes.js';
import { appOption } from '../app-options.js';
import { evaluateScript } from '../shell/evaluate-script.js';
import { openRepl } from '../shell/open-repl.js';
import { scopeOf } from '../shell/scope-of.js';
import { readAll } from '../shell/read-all.js';
import { withApp } from '../with-app.js';

/** `lovage shell`: a REPL, or a script, with the app and its tasks in scope. */
export const command = defineCommand({
  build: (parser) =>
    appOption(parser)
      .option('eval', {
        alias: ['e', 'c'],
        type: 'string',
        requiresArg: true,
        describe: 'Run this code, print what it comes to, and exit',
      })
      .example('$0 shell', 'app, every task class, and tasks by name; await works')
      .example("$0 shell -e 'await app.task(Divide).delay(1, 2)'", 'One expression')
      .example('$0 shell < script.ts', 'A script, in TypeScript or JavaScript'),

  run: (options, io) =>
    withApp(options.app, io, async (app): Promise<ExitName> => {
      const { settings, tasks } = await app.load();
      const scope = scopeOf(app, tasks);
      if (options.eval !== undefined) await evaluateScript(options.eval, { scope, io, name: 'eval' });
      else if (io.stdin.isTTY !== true) await evaluateScript(await readAll(io.stdin), { scope, io, name: 'stdin' });
      else await openRepl({ scope, io, title: settings.name });
      return 'ok';
    }),
});
