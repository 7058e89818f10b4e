import { Lovage } from 'lovage';
import { Add, Fail, Read } from './tasks.js';

// Where it connects to comes from the environment of the test.
export const app = new Lovage({ name: 'outbox' });

app.configFromObject(process.env, { namespace: 'LOVAGE' });
app.register(Add, Read, Fail);
