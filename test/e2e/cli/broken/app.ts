import { Lovage } from 'lovage';

export const app = new Lovage({ broker: 'memory://broken' }).autodiscover(['sums'], { from: __filename });
