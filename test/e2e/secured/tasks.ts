import { Task } from 'lovage';

@Task({ name: 'secured.add' })
export class Add {
  run(x: number, y: number): number {
    return x + y;
  }
}
