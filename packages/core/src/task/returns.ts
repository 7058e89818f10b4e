import 'reflect-metadata';
import { LovageError } from '../errors/lovage-error.js';
import type { BuiltInType, DtoClass, TaskClass, ValueType } from './task-definition.js';
import { type TypeThunk, resolveType } from './value-type.js';

const RETURNS = Symbol.for('lovage.task.returns');

/**
 * Declares what `run` returns (awaited), so that callers get it revived: `@Returns(() => Receipt)`, `@Returns(() => [Line])`.
 * TypeScript cannot tell: it erases the X of Promise<X>.
 */
export function Returns(type: () => DtoClass | BuiltInType | readonly [DtoClass | BuiltInType]): MethodDecorator {
  return (target, property) => {
    if (property !== 'run')
      throw new LovageError('LOVAGE_TASK_DEFINITION', `@Returns belongs on the method run, not on ${String(property)}`);
    Reflect.defineMetadata(RETURNS, type, target);
  };
}

export function resultTypeOf(taskClass: TaskClass): ValueType | null {
  const thunk = Reflect.getMetadata(RETURNS, taskClass.prototype as object) as TypeThunk | undefined;
  return thunk === undefined ? null : resolveType(thunk, undefined, `the result of ${taskClass.name}.run`);
}
