import { LovageError } from '../errors/lovage-error.js';

/** For whatever needs a broker and finds `settings.broker` with neither URLs nor a transport. */
export function brokerNotConfigured(): LovageError {
  return new LovageError(
    'LOVAGE_CONFIG',
    'no broker is configured: run `npx lovage dev` beside the app for one to develop with, ' +
      "or set `broker`, as in new Lovage({ broker: 'amqp://localhost' }), or the environment variable " +
      'LOVAGE_BROKER where the app reads it: app.configFromObject(process.env, { namespace: "LOVAGE" })',
  );
}

/** For whatever needs stored results and finds `settings.results` null. `what` is a clause, such as `result.get() waits for a stored result`. */
export function resultsNotConfigured(what: string): LovageError {
  return new LovageError(
    'LOVAGE_RESULTS_NOT_CONFIGURED',
    `${what}, but no result backend is configured: run \`npx lovage dev\` beside the app for one to develop with, ` +
      "or set `results`, as in new Lovage({ results: 'postgres://localhost/shop' }), or the environment variable " +
      'LOVAGE_RESULTS where the app reads it: app.configFromObject(process.env, { namespace: "LOVAGE" })',
  );
}
