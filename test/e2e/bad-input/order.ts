import { IsInt } from 'class-validator';

export class Order {
  quantity!: number;
}
IsInt()(Order.prototype, 'quantity');
