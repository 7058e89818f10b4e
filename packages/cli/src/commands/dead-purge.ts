import { LovageError, maskUrl } from '@lovage/core';
import { appOption, jsonOption, retryOption } from '../app-options.js';
import { defineCommand } from '../command.js';
import { confirmed } from '../confirmed.js';
import { lineOf, type DeadLetter } from '../dead/dead-letter.js';
import {
  deadOptions,
  namesOf,
  openDeadQueues,
  selectionOf,
  selectionOptions,
  tellMissing,
  visitLetters,
} from '../dead/dead-queues.js';
import type { ExitName } from '../exit-codes.js';
import { stderrOf, stdoutOf } from '../terminal.js';
import { showConnectionRetries, withApp } from '../with-app.js';

/** `lovage dead purge`: deletes dead letters, after asking. */
export const command = defineCommand({
  build: (parser) =>
    selectionOptions(deadOptions(retryOption(jsonOption(appOption(parser)))))
      .option('force', { alias: 'f', type: 'boolean', default: false, describe: 'Do not ask' })
      .example('$0 dead purge 01a2b3c4-…', 'One')
      .example('$0 dead purge --all -Q slow --force', 'All of one queue, without being asked'),

  run: (options, io) => {
    const selection = selectionOf(options);
    if (!options.force && (io.stdin.isTTY !== true || options.json)) {
      throw new LovageError('LOVAGE_USAGE', 'purge deletes messages for good and there is nobody to ask: add --force');
    }
    return withApp(options.app, io, async (app): Promise<ExitName> => {
      showConnectionRetries(app, io);
      const { settings } = await app.load();
      const dead = await openDeadQueues(app, options);
      const found: DeadLetter[] = [];
      await visitLetters(dead, selection, async (letter) => {
        found.push(letter);
        return 'keep';
      });
      const isComplete = tellMissing(selection.ids ?? [], { found, dead, io });
      if (found.length === 0 && selection.ids === null) stderrOf(io).line(`no dead letter is in ${namesOf(dead)}`);
      const broker = settings.broker.urls.map(maskUrl).join(', ');
      const question = `Delete ${count(found.length)} from ${namesOf(dead)} at ${broker}? [y/N] `;
      if (found.length > 0 && !options.force && !(await confirmed(question, io))) {
        stderrOf(io).line('nothing was deleted');
        return 'failure';
      }
      const ids = new Set(found.map(({ id }) => id));
      const purged: DeadLetter[] = [];
      // What has come meanwhile was not asked about.
      await visitLetters(dead, { ids, task: options.task }, async (letter) => {
        purged.push(letter);
        return 'remove';
      });
      if (options.json) stdoutOf(io).line(JSON.stringify(purged.map(({ id, task, queue }) => ({ id, task, queue }))));
      else if (selection.ids === null) stdoutOf(io).line(`${count(purged.length)} deleted`);
      else for (const { id, task } of purged) stdoutOf(io).line(`${lineOf(id)}: ${lineOf(task)} deleted`);
      return isComplete ? 'ok' : 'failure';
    });
  },
});

function count(letters: number): string {
  return letters === 1 ? '1 dead letter' : `${letters} dead letters`;
}
