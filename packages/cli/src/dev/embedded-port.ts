import net from 'node:net';
import { expected, LovageError } from '@lovage/core';
import { portTaken } from './embedded-errors.js';

/**
 * A port of 127.0.0.1 that was free a moment ago.
 * @param wanted null: `last` if it is free, else any
 * @throws LOVAGE_USAGE where `wanted` is not free, or is no port
 */
export async function choosePort(wanted: number | null, last: number | null): Promise<number> {
  if (wanted !== null) {
    if (!isPort(wanted))
      throw new LovageError('LOVAGE_USAGE', expected('`port`', 'an integer from 1 to 65535', wanted));
    const problem = await listenOn(wanted);
    if (typeof problem === 'string') throw portTaken(wanted, problem);
    return wanted;
  }
  if (last !== null && isPort(last) && (await listenOn(last)) === last) return last;
  const port = await listenOn(0);
  if (typeof port === 'string') throw portTaken(0, port);
  return port;
}

function isPort(port: number): boolean {
  return Number.isInteger(port) && port >= 1 && port <= 65_535;
}

/** Listens for a moment; resolves to the port, or to why that cannot be. */
function listenOn(port: number): Promise<number | string> {
  return new Promise((resolve) => {
    const server = net.createServer();
    server.once('error', (error) => resolve(error.message));
    server.listen(port, '127.0.0.1', () => {
      const { port: got } = server.address() as net.AddressInfo;
      server.close(() => resolve(got));
    });
  });
}
