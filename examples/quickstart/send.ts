import { setTimeout as sleep } from 'node:timers/promises';
import { isLovageError } from 'lovage';
import { app } from './app.js';
import { Divide } from './math/tasks.js';

const divide = app.task(Divide);

const half = await divide.delay(1, 2);
console.log('sent', half.id);
for (let looks = 0; !(await half.ready()); looks += 1) {
  if (looks < 2) console.log(await half.state());
  await sleep(500);
}
console.log(await half.state(), await half.get());

const wrong = await divide.delay(1, 0);
try {
  await wrong.get({ timeout: '30s' });
} catch (error) {
  if (!isLovageError(error, 'LOVAGE_TASK_FAILED')) throw error;
  console.log(await wrong.state());
  console.log(error.cause instanceof RangeError, error.cause);
}

await app.stop();
