import { setTimeout as sleep } from 'node:timers/promises';
import { Task } from 'lovage';

@Task({ name: 'math.divide', params: ['x', 'y'] })
export class Divide {
  async run(x: number, y: number): Promise<number> {
    await sleep(1_500); // as if it were hard
    if (y === 0) throw new RangeError('division by zero');
    return x / y;
  }
}
