import { Lovage } from 'lovage';
import { Sleep } from './tasks.js';

// Where it connects to comes from the environment of the test.
export const app = new Lovage({ name: 'long' });

app.configFromObject(process.env, { namespace: 'LOVAGE' });
app.register(Sleep);
