import { Lovage } from 'lovage';

// These URLs fit the docker-compose.yml beside; LOVAGE_BROKER and LOVAGE_RESULTS win over them.
export const app = new Lovage({
  name: 'quickstart',
  broker: 'amqp://guest:guest@localhost:5672',
  results: 'postgres://lovage:lovage@localhost:5432/lovage',
});

app.configFromObject(process.env, { namespace: 'LOVAGE' });
app.autodiscover(['math'], { from: import.meta.url }); // finds ./math/tasks.ts
