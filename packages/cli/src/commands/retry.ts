import { isLovageError, type Lovage, type LovageError } from '@lovage/core';
import { appOption, jsonOption, retryOption } from '../app-options.js';
import { defineCommand } from '../command.js';
import type { ExitName } from '../exit-codes.js';
import { reportError } from '../report-error.js';
import { idsOf, idsPositional } from '../task-ids.js';
import { stdoutOf } from '../terminal.js';
import { retryOf, showConnectionRetries, withApp } from '../with-app.js';

/** `lovage retry`: runs tasks once more that ended FAILURE. One that cannot be does not keep the others from it. */
export const command = defineCommand({
  build: (parser) =>
    idsPositional(retryOption(jsonOption(appOption(parser))))
      .example('$0 retry 01a2b3c4-…', 'Once more under its id, with its arguments; a relay sends it')
      .example('$0 retry 01a2b3c4-… 01a2b3c5-…', 'Each that can be; ends with 1 unless all could'),

  run: (options, io) =>
    withApp(options.app, io, async (app): Promise<ExitName> => {
      showConnectionRetries(app, io);
      await app.connectResults(retryOf(options));
      const { line } = stdoutOf(io);
      const refused: LovageError[] = [];
      const rows: object[] = [];
      for (const id of idsOf(options, { words: 1 })) {
        const refusal = await requeue(app, id);
        if (refusal === null) {
          const record = await app.results.get(id);
          rows.push({ id, requeued: true, task: record?.task ?? null, attempt: record?.attempt ?? null });
          if (!options.json) line(`${id}: ${record?.task ?? 'task'} requeued`);
          continue;
        }
        refused.push(refusal);
        rows.push({ id, requeued: false, code: refusal.code, reason: refusal.message });
        if (!options.json) reportError(refusal, io);
      }
      if (options.json) line(JSON.stringify(rows));
      return refused.length === 0 ? 'ok' : 'failure';
    }),
});

/** null: it runs once more; else why it cannot. */
async function requeue(app: Lovage, id: string): Promise<LovageError | null> {
  try {
    await app.requeue(id);
    return null;
  } catch (error) {
    if (isLovageError(error, 'LOVAGE_USAGE')) return error;
    throw error;
  }
}
