export function burn(turns: number): number;
