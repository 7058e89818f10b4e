import 'reflect-metadata';
import { LovageError } from '../errors/lovage-error.js';
import type { BuiltInType, DtoClass, TaskClass, ValueType } from './task-definition.js';
import { type TypeThunk, resolveType } from './value-type.js';

const ARGS = Symbol.for('lovage.task.args');

interface DeclaredArg {
  readonly index: number;
  readonly type: TypeThunk | undefined;
}

/**
 * Declares a parameter of `run`, so that its value is revived (a DTO class by class-transformer, a Date from an ISO string), and validated where
 * class-validator decorates the class or the type is a built-in one.
 *
 * @param type the type, in a function so that modules may import each other in a circle: `() => Order`, `() => [Line]` for an array.
 *   Without it TypeScript's own metadata is used, which knows classes but neither the elements of an array nor an interface.
 */
export function Arg(type?: () => DtoClass | BuiltInType | readonly [DtoClass | BuiltInType]): ParameterDecorator {
  return (target, property, index) => {
    if (property !== 'run' || typeof target === 'function') {
      throw new LovageError(
        'LOVAGE_TASK_DEFINITION',
        `@Arg belongs on a parameter of the method run, not of ${String(property ?? 'the constructor')}`,
      );
    }
    const declared = (Reflect.getOwnMetadata(ARGS, target) ?? []) as readonly DeclaredArg[];
    Reflect.defineMetadata(ARGS, [...declared, { index, type }], target);
  };
}

/** By position; null for a parameter without @Arg. */
export function argTypesOf(taskClass: TaskClass): readonly (ValueType | null)[] {
  const prototype = taskClass.prototype as object;
  const declared = (Reflect.getMetadata(ARGS, prototype) ?? []) as readonly DeclaredArg[];
  if (declared.length === 0) return [];
  const emitted = Reflect.getMetadata('design:paramtypes', prototype, 'run') as readonly unknown[] | undefined;
  const types = new Array<ValueType | null>(Math.max(...declared.map(({ index }) => index)) + 1).fill(null);
  for (const { index, type } of declared) {
    if (type === undefined && emitted === undefined) {
      throw new LovageError(
        'LOVAGE_TASK_DEFINITION',
        `parameter ${index} of ${taskClass.name}.run has @Arg() but no type is known: set "emitDecoratorMetadata": true in tsconfig.json, ` +
          'or name the type, as in @Arg(() => Order). (tsx and esbuild never emit it; the lovage command does.)',
      );
    }
    types[index] = resolveType(type, emitted?.[index], `parameter ${index} of ${taskClass.name}.run`);
  }
  return types;
}
