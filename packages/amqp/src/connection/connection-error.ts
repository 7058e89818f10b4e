import { LovageError, isLovageError, tlsAdvice } from '@lovage/core';
import type { Endpoint } from './endpoint.js';

/** What went wrong, for people. Node puts the reasons of `localhost` (IPv6, IPv4) into an AggregateError with no message of its own. */
export function reasonOf(error: unknown): string {
  if (error instanceof AggregateError && error.message === '') return error.errors.map(reasonOf).join('; ');
  const { message, code } = error as { message?: unknown; code?: unknown };
  return String(message || code || error);
}

/**
 * What time does not mend: the broker's refusal as LOVAGE_ACCESS_REFUSED, a certificate that is not trusted (or the like) as LOVAGE_CONFIG; null for any other failure.
 * amqplib gives no code here: a refused login is a text with 403, a refused virtual host "got <ConnectionClose>" in place of OpenOk.
 */
export function refusalOf(error: unknown, endpoint: Endpoint): LovageError | null {
  if (isLovageError(error, 'LOVAGE_CONFIG')) return error;
  const advice = tlsAdvice(error, 'broker');
  const reason = reasonOf(error);
  if (advice !== null)
    return new LovageError('LOVAGE_CONFIG', `no TLS with the broker at ${endpoint.masked}: ${advice} (${reason})`, {
      cause: error,
    });
  if (/\bACCESS[_-]REFUSED\b/.test(reason)) {
    return new LovageError(
      'LOVAGE_ACCESS_REFUSED',
      `the broker at ${endpoint.masked} refused the login of user '${endpoint.user}': ${reason}. Check the user and the password in \`broker\`, or what broker.credentials gives`,
      { cause: error },
    );
  }
  if (/got <ConnectionClose\b/.test(reason)) {
    return new LovageError(
      'LOVAGE_ACCESS_REFUSED',
      `the broker at ${endpoint.masked} refused the virtual host '${endpoint.vhost}' to user '${endpoint.user}'. ` +
        'Check that it exists and that the user may use it (rabbitmqctl list_permissions)',
      { cause: error },
    );
  }
  return null;
}

export function unavailable(what: string, cause: unknown): LovageError {
  const because = cause === null ? '' : `: ${reasonOf(cause)}`;
  return new LovageError(
    'LOVAGE_BROKER_UNAVAILABLE',
    `${what}${because}. Check that it runs and that \`broker\` names it`,
    cause === null ? {} : { cause },
  );
}

export function stopped(): LovageError {
  return new LovageError(
    'LOVAGE_STOPPED',
    'the connection to the broker is not open: it was stopped, or never started',
  );
}
