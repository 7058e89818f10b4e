import { Lovage } from 'lovage';
import { Exit, Haunt, Hold, Record, Spin, SpinAfter, SpinWithin } from './tasks.js';

export const app = new Lovage({ name: 'processes' });

app.configFromObject(process.env, { namespace: 'LOVAGE' });
app.register(Record, Hold, Spin, SpinAfter, SpinWithin, Exit, Haunt);
