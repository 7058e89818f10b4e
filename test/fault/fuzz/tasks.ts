import { Arg, Task } from 'lovage';
import { IsInt } from 'class-validator';

export class Order {
  @IsInt()
  quantity!: number;
}

@Task({ name: 'fuzz.sum', params: ['x', 'y'] })
export class Sum {
  run(x: number, y: number): number {
    return x + y;
  }
}

/** Gives back whatever arrives: what the wire's tags made of it has to be stored. */
@Task({ name: 'fuzz.echo', params: ['value'] })
export class Echo {
  async run(value: unknown): Promise<unknown> {
    return value;
  }
}

@Task({ name: 'fuzz.order', params: ['order'] })
export class Quantity {
  run(@Arg() order: Order): number {
    return order.quantity;
  }
}

@Task({ name: 'fuzz.again', params: ['value'], retry: { max: 1, backoff: 0 } })
export class Again {
  async run(value: unknown): Promise<never> {
    throw new Error(`again: ${typeof value}`);
  }
}

/** What is left of the process that runs all of these. */
@Task({ name: 'fuzz.vitals' })
export class Vitals {
  run(): { readonly pid: number; readonly polluted: unknown; readonly rssMb: number } {
    const { polluted = null } = {} as { readonly polluted?: unknown };
    return { pid: process.pid, polluted, rssMb: process.memoryUsage.rss() / 2 ** 20 };
  }
}
