import { Lovage } from 'lovage';

export const app = new Lovage({
  name: 'interop',
  // Python's workers consume these. declare: false keeps our own workers out of them.
  queues: {
    images: { type: 'classic', declare: false },
    'images.urgent': { type: 'classic', maxPriority: 10, declare: false },
  },
  routes: { 'images.*': 'images' },
});

app.configFromObject(process.env, { namespace: 'LOVAGE' });
app.autodiscover(['.'], { from: __filename });
