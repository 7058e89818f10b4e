/** How the constraints are named that keep a range of ids out of the default partition, while partitions are made for them. */
export const RESERVED = 'task_results_reserved';
