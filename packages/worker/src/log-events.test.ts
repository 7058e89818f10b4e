import { EventBus, type TaskRequest } from '@lovage/core';
import { createLogger, type LoggerOptions } from './logger.js';
import { logEvents } from './log-events.js';
import { LineSink } from '../test/line-sink.js';
import { requestOf } from '../test/rig.js';

const request: TaskRequest = requestOf('billing.divide', { id: 'id-1' });
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z /;

function log(options: Partial<LoggerOptions> = {}) {
  const events = new EventBus();
  const sink = new LineSink();
  const logger = createLogger({ level: 'info', format: 'text', color: false, stream: sink, ...options });
  return { events, sink, logger, end: logEvents(events, logger) };
}

describe('logEvents', () => {
  it('writes one line for each end of a task', () => {
    const { events, sink } = log();
    events.emit('task:received', { request });
    events.emit('task:succeeded', { request, resultJson: '0.5', runtimeMs: 1003.2 });
    events.emit('task:revoked', { request, reason: 'expired' });
    events.emit('message:dead', { queue: 'q', deadQueue: 'q.dead', id: null, reason: 'no JSON' });
    expect(sink.lines.every((line) => TIME.test(line))).toBe(true);
    expect(sink.lines.map((line) => line.replace(TIME, ''))).toEqual([
      'INFO  Task billing.divide[id-1] received',
      'INFO  Task billing.divide[id-1] succeeded in 1.003s: 0.5',
      'WARN  Task billing.divide[id-1] revoked: expired',
      'ERROR Message (without id) of queue q moved to q.dead: no JSON',
    ]);
  });

  it('tells what comes back, when and why', () => {
    const { events, sink } = log();
    const error = { type: 'RangeError', message: 'first line\nsecond line', stack: 'RangeError: first line\n    at a' };
    events.emit('task:retried', { request, error, retries: 2, delayMs: 1_000 });
    const eta = new Date('2030-01-02T03:04:05Z');
    events.emit('task:postponed', { request, reason: 'early', due: { at: eta } });
    events.emit('task:postponed', { request, reason: 'unknown', due: { inMs: 60_000 } });
    expect(sink.lines.map((line) => line.replace(TIME, ''))).toEqual([
      'WARN  Task billing.divide[id-1] failed and retries in 1.000s (retry 2): RangeError: first line',
      'INFO  Task billing.divide[id-1] is early: it comes back at 2030-01-02T03:04:05.000Z',
      'INFO  Task billing.divide[id-1] is unknown to this worker: it comes back in 60.000s',
    ]);
  });

  it('shows a failure with its stack and causes, and the shadow name', () => {
    const { events, sink } = log();
    const cause = { type: 'TypeError', message: 'inner', stack: 'TypeError: inner\n    at b' };
    const error = {
      type: 'RangeError',
      message: 'division by zero',
      stack: 'RangeError: division by zero\n    at a',
      cause,
    };
    events.emit('task:failed', { request: { ...request, shadow: 'shown' }, error, runtimeMs: 5 });
    expect(sink.lines.join('\n').replace(TIME, '')).toBe(
      'ERROR Task shown[id-1] failed in 0.005s: RangeError: division by zero\n    at a\n  caused by TypeError: inner\n    at b',
    );
  });

  it('clips a long result', () => {
    const { events, sink } = log();
    events.emit('task:succeeded', { request, resultJson: 'x'.repeat(5_000), runtimeMs: 1 });
    expect(sink.lines[0]).toMatch(/x… \(5000 characters\)$/);
    expect(sink.lines[0]?.length).toBeLessThan(320);
  });

  it('writes connections, with their progress', () => {
    const { events, sink } = log();
    const url = 'amqp://guest:***@host';
    events.emit('connection:lost', { target: 'broker', url, error: new Error('reset') });
    events.emit('connection:retry', { target: 'broker', url, attempt: 2, delayMs: 1500, error: new Error('refused') });
    events.emit('connection:open', { target: 'broker', url });
    expect(sink.lines.map((line) => line.replace(TIME, ''))).toEqual([
      'ERROR Lost the connection to the broker at amqp://guest:***@host: reset',
      'WARN  Cannot reach the broker at amqp://guest:***@host: refused. Trying again in 1.500s (attempt 2)',
      'INFO  Connected to the broker at amqp://guest:***@host',
    ]);
  });

  it('hears nothing of a level that is not written, and nothing once ended', () => {
    const { events, sink, end } = log({ level: 'error' });
    expect(events.has('task:received')).toBe(false);
    expect(events.has('task:failed')).toBe(true);
    end();
    events.emit('message:dead', { queue: 'q', deadQueue: 'q.dead', id: null, reason: '' });
    expect(sink.lines).toEqual([]);
  });

  it('writes JSON lines', () => {
    const { events, sink } = log({ format: 'json' });
    events.emit('task:succeeded', { request, resultJson: '0.5', runtimeMs: 3 });
    expect(JSON.parse(sink.lines[0] ?? '')).toEqual({
      time: expect.stringMatching(/^\d{4}-.*Z$/) as string,
      level: 'info',
      message: 'Task billing.divide[id-1] succeeded in 0.003s: 0.5',
      event: 'task:succeeded',
      task: 'billing.divide',
      id: 'id-1',
      runtimeMs: 3,
      result: '0.5',
    });
  });

  it('writes all keys beside a message with a % in it, which is no pattern', () => {
    const { events, sink } = log({ format: 'json' });
    events.emit('message:dead', { queue: 'q', deadQueue: 'q.dead', id: 'id-1', reason: '100%d of %s' });
    expect(JSON.parse(sink.lines[0] ?? '')).toMatchObject({
      level: 'error',
      message: 'Message id-1 of queue q moved to q.dead: 100%d of %s',
      event: 'message:dead',
      id: 'id-1',
      reason: '100%d of %s',
    });
  });
});

describe('createLogger', () => {
  it('names the task in its own lines, with what was logged beside the message', () => {
    const { logger, sink } = log({ level: 'debug' });
    logger.child({ task: 'billing.divide', id: 'id-1' }).debug('halfway', { rows: 3, self: 1n });
    expect(sink.lines[0]?.replace(TIME, '')).toBe('DEBUG billing.divide[id-1]: halfway { rows: 3, self: 1n }');
  });

  it('colours the level when asked to', () => {
    const { logger, sink } = log({ color: true });
    logger.error('red');
    expect(sink.lines[0]).toContain('\u001b[31mERROR\u001b[0m red');
  });
});
