import { unavailable } from '../connection/connection-error.js';

/**
 * The broker's answer, or LOVAGE_BROKER_UNAVAILABLE once it has not come for `ms` milliseconds: a connection that lives says nothing of a queue
 * that has no leader.
 */
export async function inTime<T>(
  answer: Promise<T>,
  { ms, what }: { readonly ms: number; readonly what: string },
): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(unavailable(`the broker did not answer ${what} within ${ms} ms`, null)), ms);
  });
  try {
    return await Promise.race([answer, late]);
  } finally {
    clearTimeout(timer);
  }
}
