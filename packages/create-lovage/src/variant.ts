/** What a project is written in. */
export interface Variant {
  readonly language: 'typescript' | 'javascript';
  readonly modules: 'esm' | 'cjs';
}

/** What a project is asked about. */
export type ChoiceName = keyof Variant;

/** The values that each may have; the first is the default. */
export const CHOICES: { readonly [Name in ChoiceName]: readonly [Variant[Name], ...Variant[Name][]] } = {
  language: ['typescript', 'javascript'],
  modules: ['esm', 'cjs'],
};

/** How a person reads and types a value, beside its name. */
export const TITLES: { readonly [Value in Variant[ChoiceName]]: readonly [title: string, ...others: string[]] } = {
  typescript: ['TypeScript', 'ts'],
  javascript: ['JavaScript', 'js'],
  esm: ['ES modules'],
  cjs: ['CommonJS'],
};
