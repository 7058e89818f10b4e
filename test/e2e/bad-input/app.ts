import { Lovage } from 'lovage';
import * as tasks from './tasks.js';

// Where it connects to comes from the environment of the test.
export const app = new Lovage({
  name: 'bad-input',
  resolver: (taskClass) => {
    if (taskClass === tasks.ResolverThrows) throw new RangeError('the container is broken');
    if (taskClass === tasks.ResolverRejects) return Promise.reject(new RangeError('the container is broken later'));
    if (taskClass === tasks.ResolverGivesNothing) return undefined;
    return new (taskClass as unknown as new () => object)();
  },
});

app.configFromObject(process.env, { namespace: 'LOVAGE' });
app.register(...Object.values(tasks));
