import { LovageError, expected } from '../errors/lovage-error.js';
import type { BuiltInType, DtoClass, ValueType } from './task-definition.js';

export type TypeThunk = () => DtoClass | BuiltInType | readonly [DtoClass | BuiltInType];

/** From what a decorator names, else from what TypeScript emitted. `what` names the place in an error. */
export function resolveType(thunk: TypeThunk | undefined, emitted: unknown, what: string): ValueType {
  const named: unknown = thunk === undefined ? emitted : thunk();
  const isArray = Array.isArray(named);
  const type: unknown = isArray ? (named as readonly unknown[])[0] : named;
  if (typeof type !== 'function') {
    // Undefined where a circular import has not run yet, or where the type was imported with `import type`.
    if (thunk === undefined) return { type: Object, isArray: false };
    throw new LovageError(
      'LOVAGE_TASK_DEFINITION',
      expected(`the type of ${what}`, 'a class, or [a class] for an array of it', named),
    );
  }
  return { type: type as DtoClass | BuiltInType, isArray };
}
