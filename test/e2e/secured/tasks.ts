import { Task, TaskContext } from 'lovage';

@Task({ name: 'secured.add' })
export class Add {
  run(x: number, y: number): number {
    return x + y;
  }
}

/** Fails until it has been retried once, and by hand once more. */
@Task({ name: 'secured.stubborn', retry: { max: 1, backoff: '50ms', jitter: false } })
export class Stubborn {
  run(): number {
    const { attempt } = TaskContext.current();
    if (attempt < 2) throw new RangeError(`attempt ${attempt}`);
    return attempt;
  }
}
