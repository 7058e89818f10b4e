/** What RabbitMQ and its plugins add on the way: dead-lettering, delivery counts, federation, shovels, interceptors. Sent on with a retry, `x-death` would stop it as a cycle. */
const BROKER_HEADER =
  /^(?:x-(?:(?:first-|last-)?death(?:-|$)|delivery-count$|acquired-count$|opt-|received-from$|shovelled(?:-|$)|routed-by$)|timestamp_in_ms$)/;

/** True for a header that says where a message has been, and not what is to be done: by the broker, a relay, or whoever moved it to the dead letters. */
export function isTransitHeader(name: string): boolean {
  return name === 'republished' || name.startsWith('x-lovage-') || BROKER_HEADER.test(name);
}
