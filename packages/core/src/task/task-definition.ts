/** A class whose instances run a task. */
export type TaskClass<Args extends readonly never[] = readonly never[], Result = unknown> = abstract new (
  ...dependencies: never[]
) => { run(...args: Args): Result };

/** The arguments of a task class's `run`. */
export type TaskArgs<C extends TaskClass> = Parameters<InstanceType<C>['run']>;

/** What a task class's `run` returns, awaited. */
export type TaskResult<C extends TaskClass> = Awaited<ReturnType<InstanceType<C>['run']>>;

/** The options of @Task. */
export interface TaskOptions {
  /** The name on the wire, such as `billing.divide`; the class's own name if absent. 1 to 255 characters without white space. */
  readonly name?: string;
  /** The queue it is sent to, unless a route or the call says otherwise. */
  readonly queue?: string;
  /** true: neither result nor failure is stored. Default false. */
  readonly ignoreResult?: boolean;
  /** The names of `run`'s parameters, in order, for callers that pass keyword arguments (Python). */
  readonly params?: readonly string[];
}

/** A DTO class: what class-transformer revives. */
export type DtoClass<T = object> = new (...args: never[]) => T;

/** How one argument or the result is revived: nothing declared, one value of the type, or an array of them. */
export interface ValueType {
  /** String, Number, Boolean, Date, Buffer … or a DTO class; `Object` when TypeScript could not name it. */
  readonly type: DtoClass | BuiltInType;
  readonly isArray: boolean;
}

export type BuiltInType =
  | StringConstructor
  | NumberConstructor
  | BooleanConstructor
  | BigIntConstructor
  | DateConstructor
  | ObjectConstructor
  | ArrayConstructor
  | MapConstructor
  | SetConstructor
  | typeof Uint8Array;

/** All that is known of one task, resolved and frozen. */
export interface TaskDefinition {
  readonly name: string;
  readonly taskClass: TaskClass;
  readonly queue: string | null;
  readonly ignoreResult: boolean;
  readonly params: readonly string[] | null;
  /** By position; null where nothing is declared (plain JSON and the wire's tags). */
  readonly argTypes: readonly (ValueType | null)[];
  readonly resultType: ValueType | null;
}
