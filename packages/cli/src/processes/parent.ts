import type { CliIo } from '../cli-io.js';
import type { StopKind, StopMessage } from './protocol.js';

/** `orphaned`: the parent is gone. */
export type StopRequest = StopKind | 'orphaned';

type Stop = (how: StopRequest, reason: string) => void;

export interface ParentOptions<FromParent> {
  readonly io: CliIo;
  /** What is said of a parent that is gone. */
  readonly gone: string;
  /** Told all that the parent says but for stops. */
  readonly onMessage: (message: FromParent) => void;
}

/** The process that started this one, as its worker sees it. */
export interface Parent<ToParent> {
  readonly stopped: boolean;
  readonly tell: (message: ToParent) => void;
  /** Called at each request to stop, and at once if there has been one. */
  onStop(stop: Stop): void;
}

/** A stop before `onStop` was called ends the process: nothing runs. */
export function listenToParent<ToParent extends object, FromParent>({
  io,
  gone,
  onMessage,
}: ParentOptions<FromParent>): Parent<ToParent | { readonly kind: 'stopping' }> {
  let stop: Stop = () => process.exit(0);
  let stopped = false;
  const stopNow: Stop = (how, reason) => {
    stopped = true;
    stop(how, reason);
  };
  const tell = (message: object): void => {
    if (process.connected) process.send?.(message, undefined, undefined, () => undefined);
  };
  process.on('message', (message: FromParent | StopMessage) => {
    if (!isStop(message)) return onMessage(message);
    tell({ kind: 'stopping' });
    stopNow(message.how, message.reason);
  });
  process.once('disconnect', () => stopNow('orphaned', gone));
  // Ctrl-C does not come here, but whoever shuts the machine down signals every process.
  io.onStopSignal((signal) => stopNow('stop', signal));
  return {
    get stopped() {
      return stopped;
    },
    tell,
    onStop: (listener) => (stop = listener),
  };
}

function isStop(message: unknown): message is StopMessage {
  return (message as StopMessage).kind === 'stop';
}
