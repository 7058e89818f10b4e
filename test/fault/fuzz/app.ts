import { Lovage } from 'lovage';
import * as tasks from './tasks.js';

// Where it connects to comes from the environment of the run.
export const app = new Lovage({ name: 'fuzz' });

app.configFromObject(process.env, { namespace: 'LOVAGE' });
app.register(tasks.Sum, tasks.Echo, tasks.Quantity, tasks.Again, tasks.Vitals);
