import { existsSync } from 'node:fs';
import { Task } from 'lovage';

@Task({ name: 'add' })
export class Add {
  run(x: number, y: number): number {
    return x + y;
  }
}

/** Fails until the file that it is given is there. */
@Task({ name: 'read', retry: { max: 1, backoff: 1, jitter: false } })
export class Read {
  run(file: string): string {
    if (!existsSync(file)) throw new RangeError(`no ${file}`);
    return 'read';
  }
}

/** Fails, and is retried much later. */
@Task({ name: 'fail', retry: { backoff: '1h', jitter: false } })
export class Fail {
  run(): never {
    throw new RangeError('not now');
  }
}
