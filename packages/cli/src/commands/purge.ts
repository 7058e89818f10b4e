import { LovageError, maskUrl, workerQueues, type QueueInspector } from '@lovage/core';
import { appOption, jsonOption, retryOption } from '../app-options.js';
import { defineCommand } from '../command.js';
import { confirmed } from '../confirmed.js';
import { inspectorOf } from '../inspector-of.js';
import { namesOption } from '../option-values.js';
import { stderrOf, stdoutOf } from '../terminal.js';
import { retryOf, showConnectionRetries, withApp } from '../with-app.js';

interface Waiting {
  readonly queue: string;
  readonly messages: number;
}

/** `lovage purge`: deletes the messages that wait in queues, after asking. */
export const command = defineCommand({
  build: (parser) =>
    retryOption(jsonOption(appOption(parser)))
      .options({
        queues: {
          alias: 'Q',
          type: 'string',
          requiresArg: true,
          describe: "These queues, as a,b; else all of the app's",
        },
        force: { alias: 'f', type: 'boolean', default: false, describe: 'Do not ask' },
      })
      .example('$0 purge', "All queues of the app's workers")
      .example('$0 purge -Q slow,slow.dead --force', 'Two queues, without being asked'),

  run: (options, io) => {
    if (!options.force && (io.stdin.isTTY !== true || options.json)) {
      throw new LovageError('LOVAGE_USAGE', 'purge deletes messages for good and there is nobody to ask: add --force');
    }
    return withApp(options.app, io, async (app) => {
      showConnectionRetries(app, io);
      const { settings, tasks } = await app.load();
      const inspector = inspectorOf(await app.connectBroker(retryOf(options)));
      const waiting = await messagesIn(
        inspector,
        namesOption(options.queues, '--queues') ?? workerQueues(settings, tasks.list()),
      );
      const total = waiting.reduce((sum, { messages }) => sum + messages, 0);
      if (!options.force) {
        if (total === 0) {
          stdoutOf(io).line('nothing waits there');
          return 'ok';
        }
        const broker = settings.broker.urls.map(maskUrl).join(', ');
        const queues = waiting.map(({ queue, messages }) => `${queue} (${messages})`).join(', ');
        if (!(await confirmed(`Delete ${count(total)} from ${queues} at ${broker}? [y/N] `, io))) {
          stderrOf(io).line('nothing was deleted');
          return 'failure';
        }
      }
      const purged: Waiting[] = [];
      for (const { queue } of waiting) purged.push({ queue, messages: await inspector.purge(queue) });
      if (options.json) stdoutOf(io).line(JSON.stringify(purged));
      else for (const { queue, messages } of purged) stdoutOf(io).line(`${queue}: ${count(messages)} deleted`);
      return 'ok';
    });
  },
});

async function messagesIn(inspector: QueueInspector, queues: readonly string[]): Promise<Waiting[]> {
  const depths = await inspector.depths(queues);
  const missing = queues.filter((_, index) => depths[index] === null);
  if (missing.length > 0) {
    const message = `the broker has no queue ${missing.join(', ')}: no worker has declared it yet, or the name is wrong`;
    throw new LovageError('LOVAGE_UNROUTABLE', message);
  }
  return queues.map((queue, index) => ({ queue, messages: depths[index]?.messages ?? 0 }));
}

function count(messages: number): string {
  return messages === 1 ? '1 message' : `${messages} messages`;
}
