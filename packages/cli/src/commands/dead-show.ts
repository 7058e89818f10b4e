import { isUtf8 } from 'node:buffer';
import type { Message, RecordState } from '@lovage/core';
import { appOption, jsonOption, retryOption } from '../app-options.js';
import { defineCommand } from '../command.js';
import { lineOf, type DeadLetter } from '../dead/dead-letter.js';
import { deadOptions, openDeadQueues, tellMissing, visitLetters } from '../dead/dead-queues.js';
import type { ExitName } from '../exit-codes.js';
import { showValue } from '../show-value.js';
import { alignColumns } from '../table.js';
import { idsOf, idsPositional } from '../task-ids.js';
import { stdoutOf, type Colors } from '../terminal.js';
import { retryOf, showConnectionRetries, withApp } from '../with-app.js';

interface Shown extends DeadLetter {
  /** How far its task has come; null: it has no record, or the app has no results. */
  readonly record: RecordState | null;
  readonly message: Omit<Message, 'queue' | 'body'> & { readonly body: string; readonly bodyEncoding?: 'base64' };
}

/** `lovage dead show`: all that is known of dead letters. */
export const command = defineCommand({
  build: (parser) =>
    idsPositional(deadOptions(retryOption(jsonOption(appOption(parser)))))
      .example('$0 dead show 01a2b3c4-…', 'Why, its headers and its body, and how its task stands')
      .example('$0 dead show 01a2b3c4-… --json | jq -r ".[].message.body"', 'In a script'),

  run: (options, io) =>
    withApp(options.app, io, async (app): Promise<ExitName> => {
      showConnectionRetries(app, io);
      const dead = await openDeadQueues(app, options);
      const ids = idsOf(options, { words: 2 });
      const found: [DeadLetter, Message][] = [];
      await visitLetters(dead, { ids: new Set(ids), task: options.task }, async (letter, message) => {
        found.push([letter, message]);
        return 'keep';
      });
      const results = await app.connectResults(retryOf(options));
      const records = await results?.states(found.map(([{ id }]) => id));
      const shown = found.map(([letter, message]): Shown => {
        return { ...letter, record: records?.get(letter.id) ?? null, message: plain(message) };
      });
      const { line, colors } = stdoutOf(io);
      if (options.json) line(JSON.stringify(shown));
      else
        shown.forEach((one, index) => {
          if (index > 0) line();
          for (const text of describe(one, colors)) line(text);
        });
      return tellMissing(ids, { found: shown, dead, io }) ? 'ok' : 'failure';
    }),
});

function plain({ queue: _, body, ...rest }: Message): Shown['message'] {
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  return isUtf8(body)
    ? { ...rest, body: bytes.toString() }
    : { ...rest, body: bytes.toString('base64'), bodyEncoding: 'base64' };
}

function describe(shown: Shown, colors: Colors): string[] {
  const { message } = shown;
  const fields: readonly (readonly [string, string | null])[] = [
    ['id', shown.id],
    ['task', shown.task],
    ['queue', shown.queue],
    ['reason', shown.reason],
    ['since', shown.time],
    ['worker', shown.worker],
    ['record', shown.record === null ? null : `${shown.record.state}, attempt ${shown.record.attempt}`],
    ['content', [message.contentType, message.contentEncoding].filter((text) => text !== '').join(', ')],
  ];
  const rows = fields.map(([name, text]) => [colors.dim(name), lineOf(text)]);
  const headers = Object.entries(message.headers)
    .filter(([name]) => !name.startsWith('x-lovage-'))
    .map(([name, value]) => [`  ${lineOf(name)}`, showValue(value, { colors, nested: true })]);
  const encoding = message.bodyEncoding === undefined ? '' : ` (${message.bodyEncoding})`;
  return [
    ...alignColumns(rows),
    colors.dim('headers'),
    ...alignColumns(headers),
    colors.dim(`body${encoding}`),
    `  ${message.body.replace(/(?!\n)\p{Cc}/gu, ' ')}`,
  ];
}
