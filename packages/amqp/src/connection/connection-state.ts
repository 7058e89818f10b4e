/** Where one connection stands. */
export type ConnectionState = 'idle' | 'connecting' | 'open' | 'blocked' | 'waiting' | 'stopping' | 'stopped';

/** What moves it on. */
export type ConnectionEvent =
  'start' | 'opened' | 'failed' | 'gaveUp' | 'due' | 'lost' | 'blocked' | 'unblocked' | 'stop' | 'ended';

/**
 * The whole life of a connection. `gaveUp` exists for the first connection only: whoever called `start` is told, and may call again.
 * From then on `failed` and `lost` lead to `waiting`, for as long as it takes. An event that a state does not list changes nothing.
 */
export const CONNECTION_TRANSITIONS = {
  idle: { start: 'connecting', stop: 'stopped' },
  connecting: { opened: 'open', failed: 'waiting', gaveUp: 'idle', stop: 'stopping' },
  open: { blocked: 'blocked', lost: 'waiting', stop: 'stopping' },
  blocked: { unblocked: 'open', lost: 'waiting', stop: 'stopping' },
  waiting: { due: 'connecting', stop: 'stopping' },
  stopping: { ended: 'stopped' },
  stopped: {},
} as const satisfies Record<ConnectionState, Partial<Record<ConnectionEvent, ConnectionState>>>;

/** The state after `event`: the same one where the event means nothing. */
export function nextState(state: ConnectionState, event: ConnectionEvent): ConnectionState {
  const transitions: Partial<Record<ConnectionEvent, ConnectionState>> = CONNECTION_TRANSITIONS[state];
  return transitions[event] ?? state;
}
