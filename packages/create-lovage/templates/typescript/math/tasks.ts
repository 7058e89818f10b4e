import { Task } from 'lovage';

@Task({ name: 'math.divide', params: ['x', 'y'] })
export class Divide {
  run(x: number, y: number): number {
    if (y === 0) throw new RangeError('division by zero');
    return x / y;
  }
}
