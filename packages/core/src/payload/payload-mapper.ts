import { LovageError, expected, isLovageError } from '../errors/lovage-error.js';
import type { TaskRequest } from '../message/task-request.js';
import type { DtoClass, TaskDefinition, ValueType } from '../task/task-definition.js';
import { builtInMismatch, convertBuiltIn, isDto } from './declared-value.js';
import { isValidated, validationProblems } from './dto-validator.js';
import { instanceOf, plainOf } from './dto.js';
import { unstorableReason } from './storable.js';
import { encodeWire, reviveWire } from './wire-value.js';

/**
 * The JSON text of a call's arguments. Those whose parameter declares a DTO class go through class-transformer; trailing `undefined`s are
 * left out, so that the parameters' defaults apply. `definition` null: a task whose code is elsewhere. Throws LOVAGE_PAYLOAD.
 */
export function encodeArgs(definition: TaskDefinition | null, args: readonly unknown[]): string {
  let values = args;
  definition?.argTypes.forEach((declared, index) => {
    if (declared === null || index >= args.length || !isDto(declared.type)) return;
    if (values === args) values = args.slice();
    (values as unknown[])[index] = plainValue(declared, args[index], `args[${index}]`);
  });
  return encodeWire(withoutTrailingUndefined(values), { what: 'args' });
}

/** The JSON text of keyword arguments. Throws LOVAGE_PAYLOAD. */
export function encodeKwargs(kwargs: Readonly<Record<string, unknown>>): string {
  return encodeWire(kwargs, { what: 'kwargs' });
}

/**
 * The values that `run` is called with: keyword arguments put in their places by `params`, tags revived, declared types checked (null and
 * undefined pass; a declared Date takes an ISO string), DTO classes revived and, where class-validator decorates them, validated.
 * The request is not changed. Synchronous unless a DTO is to be validated. Throws (or rejects with) LOVAGE_ARGUMENTS, naming each argument.
 */
export function decodeArgs(definition: TaskDefinition, request: TaskRequest): unknown[] | Promise<unknown[]> {
  const wire = positionalArgs(definition, request);
  const args = wire.map(reviveWire);
  const validations: Promise<void>[] = [];
  definition.argTypes.forEach((declared, index) => {
    if (declared === null || index >= args.length) return;
    const name = argumentName(definition, index);
    args[index] = declaredValue(declared, args[index], name);
    if (isDto(declared.type) && isValidated(declared.type)) validations.push(validate(declared, args[index], name));
  });
  return validations.length === 0 ? args : Promise.all(validations).then(() => args);
}

/** The JSON text of a result that a store takes. Throws LOVAGE_RESULT_NOT_STORABLE for what cannot travel, cannot be stored or is over `maxSize` bytes. */
export function encodeResult(definition: TaskDefinition, result: unknown, maxSize: number): string {
  try {
    const { resultType } = definition;
    const json = encodeWire(resultType === null ? result : plainValue(resultType, result, 'result'), {
      what: 'result',
      maxBytes: maxSize,
    });
    const reason = unstorableReason(json);
    if (reason === null) return json;
    throw new LovageError('LOVAGE_RESULT_NOT_STORABLE', `the result of ${definition.name} cannot be stored: ${reason}`);
  } catch (error) {
    if (!isLovageError(error, 'LOVAGE_PAYLOAD')) throw error;
    throw new LovageError(
      'LOVAGE_RESULT_NOT_STORABLE',
      `the result of ${definition.name} cannot be stored: ${error.message}`,
      { cause: error },
    );
  }
}

/**
 * A stored result as the caller gets it: tags revived, and the declared type applied where it fits (a DTO class, a Date, a bigint). The
 * value is the worker's word, so nothing is validated. `definition` null: only the tags.
 */
export function decodeResult(definition: TaskDefinition | null, wire: unknown): unknown {
  const value = reviveWire(wire);
  const declared = definition?.resultType ?? null;
  if (declared === null || value === null || value === undefined) return value;
  const revive = (item: unknown): unknown => {
    if (!isDto(declared.type)) return convertBuiltIn(declared.type, item);
    return isPlainObject(item) ? instanceOf(declared.type, item) : item;
  };
  return declared.isArray && Array.isArray(value) ? value.map(revive) : revive(value);
}

function positionalArgs(definition: TaskDefinition, request: TaskRequest): readonly unknown[] {
  const names = Object.keys(request.kwargs);
  if (names.length === 0) return request.args;
  const { name: task, params } = definition;
  if (params === null) {
    const list = names.map((name) => `'${name}'`).join(', ');
    throw refuse(
      `${task} was called with keyword arguments (${names.join(', ')}) but names no parameters: ` +
        `set @Task({ params: [${list}] }), in the order of run's parameters`,
    );
  }
  const args = [...request.args];
  for (const name of names) {
    const index = params.indexOf(name);
    if (index === -1) {
      throw refuse(
        `${task} was called with the keyword argument ${name}, but its params are (${params.join(', ')}): ` +
          `use one of these, or add it to @Task({ params })`,
      );
    }
    if (index < request.args.length) {
      throw refuse(
        `${task} was called with the argument ${name} twice, by position (${index}) and by keyword: send it only once`,
      );
    }
    while (args.length < index) args.push(undefined);
    args[index] = request.kwargs[name];
  }
  return args;
}

function declaredValue(declared: ValueType, value: unknown, name: string): unknown {
  if (value === undefined || value === null) return value;
  if (!declared.isArray) return oneValue(declared.type, value, name);
  if (!Array.isArray(value)) throw refuse(expected(name, 'an array', value));
  return value.map((item, index) => oneValue(declared.type, item, `${name}: [${index}]`));
}

function oneValue(type: ValueType['type'], value: unknown, name: string): unknown {
  if (value === undefined || value === null) return value;
  if (isDto(type)) return dtoValue(type, value, name);
  const converted = convertBuiltIn(type, value);
  const words = builtInMismatch(type, converted);
  if (words !== null) throw refuse(expected(name, words, value));
  return converted;
}

function dtoValue(type: DtoClass, value: unknown, name: string): unknown {
  if (!isPlainObject(value)) throw refuse(expected(name, `an object (${type.name})`, value));
  try {
    return instanceOf(type, value);
  } catch (error) {
    // The class's constructor or a @Transform of the user's.
    throw refuse(`${name} could not be revived as ${type.name}: ${messageOf(error)}`, error);
  }
}

async function validate(declared: ValueType, value: unknown, name: string): Promise<void> {
  const items: readonly unknown[] = declared.isArray && Array.isArray(value) ? value : [value];
  for (const [index, item] of items.entries()) {
    if (typeof item !== 'object' || item === null) continue;
    const problems = await problemsOf(item, name);
    if (problems.length === 0) continue;
    const prefix = declared.isArray ? `[${index}].` : '';
    throw refuse(`${name}: ${problems.map((problem) => prefix + problem).join('; ')}`);
  }
}

async function problemsOf(item: object, name: string): Promise<readonly string[]> {
  try {
    return await validationProblems(item);
  } catch (error) {
    throw refuse(`${name} could not be validated: ${messageOf(error)}`, error);
  }
}

/** What class-transformer makes of a value whose type is declared as a DTO class; other values are the wire's own matter. */
function plainValue({ type, isArray }: ValueType, value: unknown, what: string): unknown {
  if (!isDto(type)) return value;
  try {
    return isArray && Array.isArray(value) ? value.map((item) => plainOf(type, item)) : plainOf(type, value);
  } catch (error) {
    throw new LovageError('LOVAGE_PAYLOAD', `${what} as ${type.name}: ${messageOf(error)}`, { cause: error });
  }
}

/** `argument 0 (order)`; without params, `argument 0`. */
function argumentName(definition: TaskDefinition, index: number): string {
  const name = definition.params?.[index];
  return name === undefined ? `argument ${index}` : `argument ${index} (${name})`;
}

function withoutTrailingUndefined(args: readonly unknown[]): readonly unknown[] {
  let length = args.length;
  while (length > 0 && args[length - 1] === undefined) length--;
  return length === args.length ? args : args.slice(0, length);
}

function isPlainObject(value: unknown): value is object {
  const prototype: unknown = typeof value === 'object' && value !== null ? Object.getPrototypeOf(value) : undefined;
  return prototype === Object.prototype || prototype === null;
}

function refuse(message: string, cause?: unknown): LovageError {
  return new LovageError('LOVAGE_ARGUMENTS', message, cause === undefined ? {} : { cause });
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
