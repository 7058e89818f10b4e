import type { ConnectionRole, ErrorRecord, EventBus, EventListener, EventName, TaskRequest } from '@lovage/core';
import type { Logger } from 'winston';
import type { LogLevel } from './logger.js';
import { blockFields, describeBlock } from './loop/loop-block.js';

/** A result is shown up to so many characters. */
const MAX_RESULT = 200;

/** Logs what happens in a worker. Events of a level that is not written cost nothing. The function returned ends it. */
export function logEvents(events: EventBus, logger: Logger): () => void {
  const off: (() => void)[] = [];
  const on = <K extends EventName>(name: K, level: LogLevel, log: EventListener<K>) => {
    if (logger.isLevelEnabled(level)) off.push(events.on(name, log));
  };

  on('task:received', 'info', ({ request }) => {
    logger.info(`Task ${show(request)} received`, about('task:received', request));
  });
  on('task:succeeded', 'info', ({ request, resultJson, runtimeMs }) => {
    const result = resultJson === null ? null : clip(resultJson);
    logger.info(`Task ${show(request)} succeeded in ${seconds(runtimeMs)}${result === null ? '' : `: ${result}`}`, {
      ...about('task:succeeded', request),
      runtimeMs,
      result,
    });
  });
  on('task:failed', 'error', ({ request, error, runtimeMs }) => {
    logger.error(`Task ${show(request)} failed in ${seconds(runtimeMs)}: ${stackOf(error)}`, {
      ...about('task:failed', request),
      runtimeMs,
      error,
    });
  });
  on('task:retried', 'warn', ({ request, error, retries, delayMs }) => {
    logger.warn(
      `Task ${show(request)} failed and retries in ${seconds(delayMs)} (retry ${retries}): ${error.type}: ${firstLine(error.message)}`,
      { ...about('task:retried', request), retries, delayMs, error },
    );
  });
  on('task:postponed', 'info', ({ request, reason, due }) => {
    const when = 'at' in due ? `comes back at ${due.at.toISOString()}` : `comes back in ${seconds(due.inMs)}`;
    const why = POSTPONED[reason];
    logger.info(`Task ${show(request)} ${why}: it ${when}`, { ...about('task:postponed', request), reason, due });
  });
  on('task:parked', 'info', ({ request, runtimeMs }) => {
    logger.info(
      `Task ${show(request)} has run for ${seconds(runtimeMs)}: its message is kept in the outbox until it ends`,
      { ...about('task:parked', request), runtimeMs },
    );
  });
  on('task:revoked', 'warn', ({ request, reason }) => {
    logger.warn(`Task ${show(request)} revoked: ${reason}`, { ...about('task:revoked', request), reason });
  });
  on('task:duplicate', 'info', ({ request }) => {
    logger.info(
      `Task ${show(request)} is a copy of one that has ended or runs here, or was revoked: acknowledged, it changes nothing`,
      about('task:duplicate', request),
    );
  });
  on('message:dead', 'error', (event) => {
    logger.error(
      `Message ${event.id ?? '(without id)'} of queue ${event.queue} moved to ${event.deadQueue}: ${event.reason}`,
      {
        event: 'message:dead',
        ...event,
      },
    );
  });
  on('connection:open', 'info', ({ target, url, role }) => {
    logger.info(`Connected to the ${PLACES[target]} at ${url}${purpose(role)}`, {
      event: 'connection:open',
      target,
      url,
    });
  });
  on('connection:retry', 'warn', ({ target, url, attempt, delayMs, error }) => {
    logger.warn(
      `Cannot reach the ${PLACES[target]} at ${url}: ${error.message}. Trying again in ${seconds(delayMs)} (attempt ${attempt})`,
      { event: 'connection:retry', target, url, attempt, delayMs, reason: error.message },
    );
  });
  on('connection:lost', 'error', ({ target, url, role, error }) => {
    logger.error(`Lost the connection to the ${PLACES[target]} at ${url}${purpose(role)}: ${error.message}`, {
      event: 'connection:lost',
      target,
      url,
      reason: error.message,
    });
  });
  on('connection:blocked', 'warn', ({ target, reason }) => {
    logger.warn(`The ${PLACES[target]} takes no messages for now: ${reason}`, {
      event: 'connection:blocked',
      target,
      reason,
    });
  });
  on('connection:unblocked', 'info', ({ target }) => {
    logger.info(`The ${PLACES[target]} takes messages again`, { event: 'connection:unblocked', target });
  });
  on('worker:ready', 'info', ({ worker }) => {
    logger.info(`${worker} ready`, { event: 'worker:ready', worker });
  });
  on('worker:stopping', 'info', ({ worker, reason }) => {
    logger.info(`${worker} is stopping: ${reason}`, { event: 'worker:stopping', worker, reason });
  });
  on('worker:stopped', 'info', ({ worker, abandoned }) => {
    const given = abandoned === 0 ? '' : `; ${abandoned} unfinished task(s) went back to their queues`;
    logger.info(`${worker} stopped${given}`, { event: 'worker:stopped', worker, abandoned });
  });
  on('loop:blocked', 'warn', (block) => {
    logger.warn(describeBlock(block, { lasts: false }), blockFields(block));
  });
  on('warning', 'warn', ({ message, error }) => {
    logger.warn(message, { event: 'warning', ...(error === undefined ? {} : { stack: error.stack }) });
  });

  return () => off.splice(0).forEach((end) => end());
}

const POSTPONED = {
  early: 'is early',
  unknown: 'is unknown to this worker',
  rate: 'is held up by its rate limit',
} as const;

const PLACES = { broker: 'broker', results: 'result backend' } as const;

function show({ task, shadow, id }: TaskRequest): string {
  return `${shadow ?? task}[${id}]`;
}

function about(event: EventName, { task, id }: TaskRequest): object {
  return { event, task, id };
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(3)}s`;
}

function clip(text: string): string {
  return text.length <= MAX_RESULT ? text : `${text.slice(0, MAX_RESULT)}… (${text.length} characters)`;
}

function firstLine(text: string): string {
  return clip(text.split('\n', 1)[0] ?? '');
}

function stackOf(error: ErrorRecord): string {
  const own = error.stack ?? `${error.type}: ${error.message}`;
  return error.cause === undefined ? own : `${own}\n  caused by ${stackOf(error.cause)}`;
}

function purpose(role: ConnectionRole | undefined): string {
  return role === undefined ? '' : ` (to ${role})`;
}
