import { Lovage } from 'lovage';
import { Add, Stubborn } from './tasks.js';

// Where it connects to, and the keys it signs with, come from the environment of the test.
export const app = new Lovage({ name: 'secured' });

app.configFromObject(process.env, { namespace: 'LOVAGE' });
app.register(Add, Stubborn);
