import { Task } from 'lovage';

export class Divide {
  run(x, y) {
    if (y === 0) throw new RangeError('division by zero');
    return x / y;
  }
}

// What `@Task(…)` above the class is in TypeScript.
Task({ name: 'math.divide', params: ['x', 'y'] })(Divide);
