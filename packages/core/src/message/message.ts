/** A value of an AMQP header table, as far as task messages use them. Integers travel as int32 (or int64 when larger). */
export type HeaderValue =
  string | number | boolean | null | readonly HeaderValue[] | { readonly [key: string]: HeaderValue };

export type Headers = { readonly [key: string]: HeaderValue };

/** The bytes and properties of one message on the wire, in no broker's own terms. Always sent persistent. */
export interface Message {
  /** The queue it goes to (or came from). */
  readonly queue: string;
  readonly headers: Headers;
  /** MIME type of the body, such as `application/json`; empty if the sender set none. */
  readonly contentType: string;
  /** Such as `utf-8`; empty if the sender set none. */
  readonly contentEncoding: string;
  /** The task's id, by Celery's protocol. */
  readonly correlationId: string | null;
  /** Where the sender listens for the end of the task, if it does. */
  readonly replyTo: string | null;
  /** 0 (lowest) to 255; null leaves it to the broker. */
  readonly priority: number | null;
  readonly body: Uint8Array;
}

/** One message as a consumer received it. The transport that made it knows how to settle it. */
export interface Delivery {
  readonly message: Message;
  /** The broker delivered it before, to somebody. */
  readonly redelivered: boolean;
}
