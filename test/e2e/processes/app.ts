import { Lovage } from 'lovage';
import { Exit, Haunt, Hold, Record, Spin } from './tasks.js';

export const app = new Lovage({ name: 'processes' });

app.configFromObject(process.env, { namespace: 'LOVAGE' });
app.register(Record, Hold, Spin, Exit, Haunt);
