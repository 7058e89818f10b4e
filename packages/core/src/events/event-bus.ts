import type { EventListener, EventName, EventSink, LovageEvents } from './events.js';

/** Typed events, delivered at once and in order of subscription. A listener's throw becomes a `warning`, never a failure of what it observed. */
export class EventBus implements EventSink {
  readonly #listeners = new Map<EventName, Set<EventListener<never>>>();

  /** Subscribes; the function returned unsubscribes. */
  on<K extends EventName>(name: K, listener: EventListener<K>): () => void {
    const listeners = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, listeners);
    listeners.add(listener);
    return () => void listeners.delete(listener);
  }

  has(name: EventName): boolean {
    return (this.#listeners.get(name)?.size ?? 0) > 0;
  }

  emit<K extends EventName>(name: K, event: LovageEvents[K]): void {
    const listeners = this.#listeners.get(name);
    if (listeners === undefined) return;
    for (const listener of listeners) {
      try {
        // An async listener gives a promise, whatever its type says.
        const ended: unknown = (listener as (event: LovageEvents[K]) => unknown)(event);
        if (ended instanceof Promise) ended.catch((error: unknown) => this.#threw(name, error));
      } catch (error) {
        this.#threw(name, error);
      }
    }
  }

  #threw(name: EventName, error: unknown): void {
    // A `warning` listener that throws has nobody left to tell.
    if (name !== 'warning') this.emit('warning', { message: `a listener of '${name}' threw`, error: error as Error });
  }
}
