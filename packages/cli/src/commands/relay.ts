import { Relay } from '@lovage/worker';
import { appOption, retryOption } from '../app-options.js';
import { serviceBannerOf } from '../banner.js';
import { defineCommand } from '../command.js';
import { logOptions, runService, runUntilSignal } from '../run-service.js';
import { retryOf } from '../with-app.js';

/** `lovage relay`: sends what is due in the outbox until it is told to stop. Its banner and its log go to standard error. */
export const command = defineCommand({
  build: (parser) =>
    logOptions(retryOption(appOption(parser)))
      .example('$0 relay', 'Beside workers that are all Python: each Lovage worker has a relay')
      .example('$0 relay -A ./src/app.ts -l debug', 'Another app, and every detail')
      .example('$0 relay --logformat json', 'For log collectors'),

  run: (options, io) =>
    runService('relay', { flags: options, io }, async ({ app, loaded, logger, announce }) => {
      announce(serviceBannerOf(loaded), () => []);
      const relay = new Relay(app, retryOf(options));
      await runUntilSignal(io, {
        start: async () => {
          const { name } = await relay.start();
          logger.info(`${name} ready`, { event: 'relay:ready', relay: name });
        },
        stop: (signal, { again }) => {
          if (!again) logger.info(`The relay is stopping: ${signal}`, { event: 'relay:stopping', reason: signal });
          return relay.stop();
        },
      });
      logger.info('The relay has stopped', { event: 'relay:stopped' });
      return 'ok';
    }),
});
