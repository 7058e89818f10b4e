import { Lovage } from 'lovage';
import { Add } from '../cli-outbox/tasks.js';

// A broker in PostgreSQL stores results too, unless told not to.
export const app = new Lovage({ name: 'queues', results: null });

app.configFromObject(process.env, { namespace: 'LOVAGE' });
app.register(Add);
