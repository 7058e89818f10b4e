import { Lovage } from 'lovage';

// Its broker and its results come from `lovage dev`, or from LOVAGE_BROKER and LOVAGE_RESULTS.
export const app = new Lovage({ name: 'quickstart' });

app.configFromObject(process.env, { namespace: 'LOVAGE' });
app.autodiscover(['math'], { from: import.meta.url }); // finds ./math/tasks.ts
