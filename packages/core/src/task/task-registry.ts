import { LovageError, show } from '../errors/lovage-error.js';
import { taskDefinitionOf } from './task.js';
import type { TaskDefinition } from './task-definition.js';

/** The tasks of one app, by name. */
export class TaskRegistry {
  readonly #tasks = new Map<string, { readonly definition: TaskDefinition; readonly origin: string | null }>();

  /**
   * Adds a task class. The same name from the same origin replaces (a module loaded anew); from another it throws LOVAGE_TASK_DEFINITION.
   *
   * @param origin the module it came from, without its extension, so that a .ts file and its .js twin are one.
   */
  register(taskClass: unknown, origin: string | null = null): TaskDefinition {
    const definition = taskDefinitionOf(taskClass);
    if (definition === null) {
      throw new LovageError('LOVAGE_TASK_DEFINITION', `expected a class decorated with @Task, got ${show(taskClass)}`);
    }
    const before = this.#tasks.get(definition.name);
    if (before !== undefined && before.definition !== definition && (origin === null || before.origin !== origin)) {
      throw new LovageError(
        'LOVAGE_TASK_DEFINITION',
        `two tasks are named '${definition.name}': ${before.definition.taskClass.name}${from(before.origin)} and ` +
          `${definition.taskClass.name}${from(origin)}. Give one another name: @Task({ name: '…' })`,
      );
    }
    this.#tasks.set(definition.name, { definition, origin });
    return definition;
  }

  get(name: string): TaskDefinition | undefined {
    return this.#tasks.get(name)?.definition;
  }

  /** All of them, by name. */
  list(): readonly TaskDefinition[] {
    return [...this.#tasks.values()].map(({ definition }) => definition).sort((a, b) => (a.name < b.name ? -1 : 1));
  }
}

function from(origin: string | null): string {
  return origin === null ? '' : ` from ${origin}`;
}
