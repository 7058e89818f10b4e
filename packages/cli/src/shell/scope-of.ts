import type { Lovage, TaskHandle, TaskRegistry } from '@lovage/core';

/** The names that code in the shell finds. */
export type ShellScope = Readonly<Record<string, unknown>>;

/** `app`, each task's class by the class's own name, and `tasks`: every handle by the task's name. Of two classes of one name the first task's is in scope. */
export function scopeOf(app: Lovage, registry: TaskRegistry): ShellScope {
  const definitions = registry.list();
  const scope: Record<string, unknown> = {};
  const tasks: Record<string, TaskHandle> = {};
  for (const { name, taskClass } of definitions) {
    tasks[name] = app.task(taskClass) as unknown as TaskHandle;
    scope[taskClass.name] ??= taskClass;
  }
  return { ...scope, tasks, app };
}
