import { appOption, jsonOption, retryOption } from '../app-options.js';
import { defineCommand } from '../command.js';
import type { ExitName } from '../exit-codes.js';
import { stderrOf, stdoutOf } from '../terminal.js';
import { idsOf, idsPositional } from '../task-ids.js';
import { retryOf, showConnectionRetries, withApp } from '../with-app.js';

/** `lovage scheduled cancel`: ends tasks REVOKED that wait for their time. */
export const command = defineCommand({
  build: (parser) =>
    idsPositional(retryOption(jsonOption(appOption(parser))))
      .example('$0 scheduled cancel 01a2b3c4-…', 'It ends REVOKED, and is never run')
      .example('$0 scheduled list --json | jq -r ".[].id" | xargs $0 scheduled cancel', 'Those that are due next'),

  run: (options, io) =>
    withApp(options.app, io, async (app): Promise<ExitName> => {
      showConnectionRetries(app, io);
      await app.connectResults(retryOf(options));
      const ids = idsOf(options, { words: 2 });
      const cancelled = new Set<string>();
      for (const id of ids) if (await app.scheduled.cancel(id)) cancelled.add(id);
      const others = ids.filter((id) => !cancelled.has(id));
      const records = others.length === 0 ? [] : await app.results.find({ ids: others });
      const states = new Map(records.map(({ id, state }) => [id, state]));
      if (options.json) {
        const rows = ids.map((id) =>
          cancelled.has(id) ? { id, cancelled: true } : { id, cancelled: false, state: states.get(id) ?? null },
        );
        stdoutOf(io).line(JSON.stringify(rows));
      } else {
        for (const id of cancelled) stdoutOf(io).line(`${id}: cancelled`);
        for (const id of others) stderrOf(io).line(`${id}: does not wait for its time: it is ${stateOf(id)}`);
      }
      return others.length === 0 ? 'ok' : 'failure';

      function stateOf(id: string): string {
        return states.get(id) ?? 'unknown, or waits in its queue';
      }
    }),
});
