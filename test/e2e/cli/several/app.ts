import { Lovage } from 'lovage';

export const one = new Lovage({ name: 'one' });
export const two = new Lovage({ name: 'two' });
