import { Type } from 'class-transformer';
import { IsInt, ValidateNested } from 'class-validator';

export class Line {
  @IsInt()
  quantity!: number;
}

/** As applications write them: decorated fields, in TypeScript that a worker loads as it is. */
export class Order {
  @IsInt()
  quantity!: number;

  @ValidateNested()
  @Type(() => Line)
  lines?: Line[];
}
