import type { LetterFate } from '@lovage/core';
import { appOption, jsonOption, retryOption } from '../app-options.js';
import { defineCommand } from '../command.js';
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
import { stderrOf, stdoutOf, type Terminal } from '../terminal.js';
import { retryOf, showConnectionRetries, withApp } from '../with-app.js';

/** `lovage dead requeue`: has dead letters run once more. Each is taken out of its queue once what runs it is stored or confirmed. */
export const command = defineCommand({
  build: (parser) =>
    selectionOptions(deadOptions(retryOption(jsonOption(appOption(parser)))))
      .example('$0 dead requeue 01a2b3c4-…', 'One, now that a worker can run it')
      .example('$0 dead requeue --all --task mail.send', 'All of one task; ends with 1 unless all could'),

  run: (options, io) => {
    const selection = selectionOf(options);
    return withApp(options.app, io, async (app): Promise<ExitName> => {
      showConnectionRetries(app, io);
      const dead = await openDeadQueues(app, options);
      await app.connectResults(retryOf(options));
      const done: (DeadLetter & { readonly fate: LetterFate })[] = [];
      await visitLetters(dead, selection, async (letter, message) => {
        const fate = await app.requeueLetter(message);
        done.push({ ...letter, fate });
        if (!options.json) tell(letter, fate, fate.kind === 'refused' ? stderrOf(io) : stdoutOf(io));
        return fate.kind === 'refused' ? 'keep' : 'remove';
      });
      if (options.json) {
        const rows = done.map(({ id, task, queue, fate: { kind, ...more } }) => ({
          id,
          task,
          queue,
          outcome: kind,
          ...more,
        }));
        stdoutOf(io).line(JSON.stringify(rows));
      }
      if (selection.ids === null && done.length === 0) stderrOf(io).line(`no dead letter is in ${namesOf(dead)}`);
      const isComplete = tellMissing(selection.ids ?? [], { found: done, dead, io });
      return isComplete && done.every(({ fate }) => fate.kind !== 'refused') ? 'ok' : 'failure';
    });
  },
});

function tell({ id, task, queue }: DeadLetter, fate: LetterFate, { line }: Terminal): void {
  const what = task === null ? 'message' : lineOf(task);
  const words = {
    sent: () => `${what} sent to ${queue}`,
    requeued: () => `${what} requeued`,
    obsolete: (reason: string) => `${what} removed: ${reason}`,
    refused: (reason: string) => `${what} kept: ${reason}`,
  };
  line(`${lineOf(id)}: ${words[fate.kind]('reason' in fate ? fate.reason : '')}`);
}
