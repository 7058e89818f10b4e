import { Arg, Task, TaskContext } from 'lovage';

@Task({ name: 'interop.echo' })
export class Echo {
  run(...values: unknown[]): unknown[] {
    return values;
  }
}

@Task({ name: 'interop.divide', params: ['x', 'y'] })
export class Divide {
  run(x: number, y: number): number {
    if (y === 0) throw new RangeError('division by zero');
    return x / y;
  }
}

@Task({ name: 'interop.plan', params: ['from', 'until'] })
export class Plan {
  run(@Arg() from: Date, @Arg() until?: Date): readonly (number | null)[] {
    return [from.getTime(), until?.getTime() ?? null];
  }
}

@Task({ name: 'interop.headers' })
export class Headers {
  run(): object {
    const { headers, attempt } = TaskContext.current();
    return { headers, attempt };
  }
}

/** Ends when it is told to. */
@Task({ name: 'interop.wait' })
export class Wait {
  run(): Promise<never> {
    const { signal } = TaskContext.current();
    return new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)));
  }
}

/** What a Python worker calls once it is done. */
@Task({ name: 'interop.resized' })
export class Resized {
  run(call: string, answer: object): object {
    return { call, answer };
  }
}
