import { createRequire } from 'node:module';
import type * as ClassValidator from 'class-validator';
import type { DtoClass } from '../task/task-definition.js';

/** More would not be read. */
const MAX_PROBLEMS = 20;

/** undefined: not asked yet; null: not installed. */
let classValidator: typeof ClassValidator | null | undefined;
const decorated = new WeakMap<DtoClass, boolean>();

/** True if class-validator is installed and decorates this class: only then `validationProblems` has anything to say. */
export function isValidated(type: DtoClass): boolean {
  const known = decorated.get(type);
  if (known !== undefined) return known;
  const storage = load()?.getMetadataStorage();
  const answer = storage !== undefined && storage.getTargetValidationMetadatas(type, '', true, false).length > 0;
  decorated.set(type, answer);
  return answer;
}

/** What class-validator finds wrong with an instance, asynchronous validators included: `items[0].price must be a positive number`. */
export async function validationProblems(instance: object): Promise<readonly string[]> {
  const errors = await load()?.validate(instance, { forbidUnknownValues: false, validationError: { target: false } });
  return (errors ?? []).flatMap((error) => problemsOf(error, '')).slice(0, MAX_PROBLEMS);
}

function problemsOf(error: ClassValidator.ValidationError, parent: string): readonly string[] {
  const path = /^\d+$/.test(error.property) ? `${parent}[${error.property}]` : `${parent}.${error.property}`;
  const shown = path.replace(/^\./, '');
  const own = Object.values(error.constraints ?? {}).map((message) =>
    // class-validator begins its own messages with the property's name; a user's message may begin with anything.
    message.startsWith(`${error.property} `)
      ? `${shown}${message.slice(error.property.length)}`
      : `${shown}: ${message}`,
  );
  return [...own, ...(error.children ?? []).flatMap((child) => problemsOf(child, path))];
}

function load(): typeof ClassValidator | null {
  if (classValidator !== undefined) return classValidator;
  try {
    classValidator = createRequire(__filename)('class-validator') as typeof ClassValidator;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'MODULE_NOT_FOUND') throw error;
    classValidator = null;
  }
  return classValidator;
}
