import { Lovage } from 'lovage';
import { Record } from './tasks.js';

// Where it connects to, and with how many tasks at once, comes from the environment of the test.
export const app = new Lovage({ name: 'crash' });

app.configFromObject(process.env, { namespace: 'LOVAGE' });
app.register(Record);
