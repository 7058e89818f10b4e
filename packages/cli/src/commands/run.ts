import path from 'node:path';
import { existsSync } from 'node:fs';
import { LovageError, setDefaultLoader } from '@lovage/core';
import { defineCommand } from '../command.js';
import { devFor, sayDev } from '../dev/use-dev.js';
import { createJitiLoader } from '../jiti-loader.js';

/** `lovage run`: a script of the user's own, loaded as a worker loads task modules. */
export const command = defineCommand({
  build: (parser) =>
    parser
      .positional('script', { type: 'string', demandOption: true, describe: 'A .ts, .js, .mjs or .cjs file' })
      .positional('args', {
        type: 'string',
        array: true,
        default: [] as string[],
        defaultDescription: 'none',
        describe: 'What the script finds in process.argv; after --, flags too',
      })
      .example('$0 run ./send.ts', 'TypeScript, with the metadata that decorators need')
      .example('$0 run ./send.ts 10 -- --verbose', 'process.argv.slice(2) is [ "10", "--verbose" ]'),

  run: async (options, io) => {
    const file = path.resolve(io.cwd, options.script);
    if (!existsSync(file)) throw new LovageError('LOVAGE_USAGE', `there is no script ${file}`);
    process.argv = [process.argv[0] ?? 'node', file, ...options.args, ...options._.slice(1).map(String)];
    const dev = devFor(io);
    if (dev !== null) {
      // What an app reads with app.configFromObject(process.env, { namespace: 'LOVAGE' }).
      Object.assign(process.env, { LOVAGE_BROKER: dev.url, LOVAGE_RESULTS: dev.url });
      sayDev(dev, io);
    }
    const loader = createJitiLoader();
    // The script's own apps find their task modules with it too: a second loader would make second copies of them.
    setDefaultLoader(loader);
    await loader(file);
    await io.untilIdle();
    return 'ok';
  },
});
