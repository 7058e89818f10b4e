import { setTimeout as sleep } from 'node:timers/promises';
import { Task } from 'lovage';

@Task({ name: 'long.sleep' })
export class Sleep {
  async run(ms: number): Promise<number> {
    await sleep(ms);
    return process.pid;
  }
}
