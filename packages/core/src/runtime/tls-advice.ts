import type { ConnectionTarget } from '../events/events.js';

const UNTRUSTED =
  'it shows a certificate of no authority that is trusted here: set KEY.tls.caFile to the certificate (PEM) of the authority that issued it';
const CLIENT = 'it wants a certificate of the client: set KEY.tls.certFile and KEY.tls.keyFile';

/** By the code that OpenSSL or Node gives. */
const ADVICE: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: 'its certificate has expired: renew it on the server',
  CERT_NOT_YET_VALID: 'its certificate is not valid yet: compare the clocks of both machines',
  CERT_REVOKED: 'its certificate was revoked: renew it on the server',
  CERT_SIGNATURE_FAILURE: UNTRUSTED,
  DEPTH_ZERO_SELF_SIGNED_CERT: UNTRUSTED,
  SELF_SIGNED_CERT_IN_CHAIN: UNTRUSTED,
  UNABLE_TO_GET_ISSUER_CERT: UNTRUSTED,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: UNTRUSTED,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: UNTRUSTED,
  ERR_TLS_CERT_ALTNAME_INVALID:
    'its certificate is for another name: put that name into the URL, or set KEY.tls.serverName to it',
  ERR_SSL_WRONG_VERSION_NUMBER:
    'it does not speak TLS at that port: use the port for TLS (RabbitMQ: 5671), or a URL without TLS',
  ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED: CLIENT,
  ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE: CLIENT,
  ERR_SSL_TLSV1_ALERT_UNKNOWN_CA:
    'it does not trust the certificate of the client: set KEY.tls.certFile to one of an authority that it knows',
  ERR_OSSL_PEM_NO_START_LINE: 'KEY.tls.certFile holds no certificate (PEM)',
  ERR_OSSL_UNSUPPORTED: 'KEY.tls.keyFile holds no private key (PEM)',
  ERR_OSSL_X509_KEY_VALUES_MISMATCH: 'KEY.tls.keyFile is not the key of KEY.tls.certFile',
};

/** What to do about a TLS handshake that failed, as a clause, mostly about the server; null: it is no such failure. Trying again mends none of them. */
export function tlsAdvice(error: unknown, target: ConnectionTarget): string | null {
  const { code } = (error ?? {}) as { readonly code?: unknown };
  const advice = typeof code === 'string' && Object.hasOwn(ADVICE, code) ? ADVICE[code] : undefined;
  return advice?.replaceAll('KEY', target) ?? null;
}
