import { Lovage } from 'lovage';
import { Innocent, Poison } from './tasks.js';

// Where it connects to comes from the environment of the test.
export const app = new Lovage({ name: 'poison' });

app.configFromObject(process.env, { namespace: 'LOVAGE' });
app.register(Innocent, Poison);
