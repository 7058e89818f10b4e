/** A fixed amount of work, however long it takes. */
export function burn(turns) {
  let value = 1;
  for (let turn = 0; turn < turns; turn++) value = (Math.imul(value, 48271) + turn) | 0;
  return value;
}
