// @ts-check
'use strict';

/** A failure that the user can mend: its message says how, so the scripts print it without a stack. */
class ServiceError extends Error {
  /** @override */
  name = 'ServiceError';
}

module.exports = { ServiceError };
