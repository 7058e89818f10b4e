import { createRequire } from 'node:module';
import { types } from 'node:util';
import type { ClassTransformOptions, TransformationType } from 'class-transformer';
import type { DtoClass } from '../task/task-definition.js';
import { LovageError } from '../errors/lovage-error.js';
import { MAX_NESTING, hasToJson } from './wire-value.js';

interface Transformation {
  readonly Executor: ExecutorClass;
  readonly Type: typeof TransformationType;
}

type ExecutorClass = new (
  type: TransformationType,
  options: ClassTransformOptions,
) => {
  transform(
    source: unknown,
    value: unknown,
    targetType: unknown,
    arrayType: unknown,
    isMap: boolean,
    level?: number,
  ): unknown;
};

/** Said in full, so that a change of class-transformer's defaults changes nothing here. */
const OPTIONS: ClassTransformOptions = {
  enableCircularCheck: false,
  enableImplicitConversion: false,
  excludeExtraneousValues: false,
  exposeDefaultValues: true,
  exposeUnsetFields: true,
  ignoreDecorators: false,
};

/** Made for the first DTO: an app without any starts some 15 ms sooner. */
let transformation: Transformation | undefined;

/** A plain object (which is not changed) as an instance of the declared class, revived by class-transformer's decorators. */
export function instanceOf(type: DtoClass, plain: unknown): unknown {
  const { Executor, Type } = (transformation ??= loadTransformation());
  return new Executor(Type.PLAIN_TO_CLASS, { ...OPTIONS }).transform(
    undefined,
    // class-transformer deletes discriminator properties from what it reads.
    copyOf(plain),
    type,
    undefined,
    false,
  );
}

/** An instance of the declared class, or a plain object in its shape, as class-transformer's decorators want it sent. */
export function plainOf(type: DtoClass, value: unknown): unknown {
  const { Executor, Type } = (transformation ??= loadTransformation());
  return new Executor(Type.CLASS_TO_PLAIN, { ...OPTIONS, exposeUnsetFields: false }).transform(
    undefined,
    value,
    // A subclass's own decorators count.
    value instanceof type ? undefined : type,
    undefined,
    false,
  );
}

function copyOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(copyOf);
  if (typeof value !== 'object' || value === null || Object.getPrototypeOf(value) !== Object.prototype) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, copyOf(item)]));
}

/**
 * class-transformer's own executor, as plainToInstance and instanceToPlain use it, except that what the wire carries by itself stays
 * as it is: unchanged, those two turn a Set into an array, a Map into an object or into nothing, and bytes into an object of indexes.
 */
function loadTransformation(): Transformation {
  const load = createRequire(__filename);
  const { TransformationType: Type } = load('class-transformer') as { TransformationType: typeof TransformationType };
  // The package exports its functions only, and they leave no way in.
  const { TransformOperationExecutor } = load('class-transformer/cjs/TransformOperationExecutor.js') as {
    TransformOperationExecutor: ExecutorClass;
  };

  class DtoTransform extends TransformOperationExecutor {
    readonly #reviving: boolean;

    constructor(type: TransformationType, options: ClassTransformOptions) {
      super(type, options);
      this.#reviving = type === Type.PLAIN_TO_CLASS;
    }

    // eslint-disable-next-line @typescript-eslint/max-params -- the overridden method's own
    override transform(
      source: unknown,
      value: unknown,
      targetType: unknown,
      arrayType: unknown,
      isMap: boolean,
      level = 0,
    ): unknown {
      if (typeof value !== 'object' || value === null) {
        return super.transform(source, value, targetType, arrayType, isMap, level);
      }
      if (level > MAX_NESTING) {
        throw new LovageError('LOVAGE_PAYLOAD', `nesting deeper than ${MAX_NESTING} levels, or a cycle, cannot travel`);
      }
      const each = (item: unknown): unknown => this.transform(undefined, item, targetType, undefined, false, level + 1);
      if (types.isMap(value)) return new Map([...value].map(([key, item]) => [key, each(item)]));
      if (types.isSet(value)) return new Set([...value].map(each));
      if (types.isUint8Array(value)) return value;
      if (targetType === undefined && level > 0 && this.#travelsAsItIs(value)) return value;
      return super.transform(source, value, targetType, arrayType, isMap, level);
    }

    /** Of a type nobody declared: on arrival plain data. class-transformer would call whatever its key `constructor` holds. */
    #travelsAsItIs(value: object): boolean {
      if (Array.isArray(value) || types.isDate(value)) return false;
      return this.#reviving || typeof value.constructor !== 'function' || hasToJson(value);
    }
  }
  return { Executor: DtoTransform, Type };
}
