/** When something is due, by the database's clock alone (rule 8): so long after it is written, or at an instant (a past one: at once). */
export type DueTime = { readonly inMs: number } | { readonly at: Date };
