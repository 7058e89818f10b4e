import 'reflect-metadata';
import { Exclude, Expose, Transform, Type } from 'class-transformer';
import {
  IsInt,
  IsOptional,
  IsPositive,
  IsString,
  Validate,
  ValidateNested,
  ValidatorConstraint,
} from 'class-validator';
import { type ErrorCode, isLovageError } from '../errors/lovage-error.js';
import type { TaskRequest } from '../message/task-request.js';
import type { TaskDefinition, ValueType } from '../task/task-definition.js';
import { decodeArgs, decodeResult, encodeArgs, encodeKwargs, encodeResult } from './payload-mapper.js';

class Line {
  @IsPositive() price!: number;
  @IsString() sku = 'none';
}

class Order {
  @IsInt() id!: number;
  @Type(() => Date) placedAt?: Date;
  @ValidateNested({ each: true }) @Type(() => Line) items: Line[] = [];
  total(): number {
    return this.items.reduce((sum, line) => sum + line.price, 0);
  }
}

class Account {
  tags!: Set<string>;
  @Type(() => Line) lines!: Map<number, Line>;
  photo!: Uint8Array;
  balance!: bigint;
  since!: Date;
  @Expose({ name: 'mail' }) email!: string;
  @Exclude({ toPlainOnly: true }) password?: string;
  @Transform(({ value }) => (value as string).toUpperCase(), { toClassOnly: true }) country!: string;
  link?: URL;
  anything?: unknown;
}

const builtIn = (type: ValueType['type'], isArray = false): ValueType => ({ type, isArray });

function definition(options: Partial<TaskDefinition> = {}): TaskDefinition {
  class Sample {
    run(): void {}
  }
  return {
    name: 'shop.sample',
    taskClass: Sample,
    queue: null,
    ignoreResult: false,
    params: null,
    argTypes: [],
    resultType: null,
    retry: null,
    pool: null,
    startIntervalMs: null,
    timeLimits: null,
    ...options,
  };
}

function request(args: readonly unknown[], kwargs: Readonly<Record<string, unknown>> = {}): TaskRequest {
  return { args, kwargs } as TaskRequest;
}

/** What a worker's `run` gets of what a caller sends. */
function travel(task: TaskDefinition, args: readonly unknown[]): unknown[] | Promise<unknown[]> {
  return decodeArgs(task, request(JSON.parse(encodeArgs(task, args)) as unknown[]));
}

async function refusal(code: ErrorCode, act: () => unknown): Promise<string> {
  try {
    await act();
  } catch (error) {
    if (isLovageError(error, code)) return error.message;
    throw error;
  }
  return 'not refused';
}

describe('keyword arguments', () => {
  const task = definition({ params: ['x', 'y', 'z'] });

  it('take their places', () => {
    expect(decodeArgs(task, request([], { y: 2, x: 1 }))).toEqual([1, 2]);
    expect(decodeArgs(task, request([1], { z: 3 }))).toEqual([1, undefined, 3]);
    expect(decodeArgs(task, request([1], { y: { __type__: 'bigint', __value__: '2' } }))).toEqual([1, 2n]);
  });

  it.each<[TaskDefinition, unknown[], Record<string, unknown>, string]>([
    [definition(), [], { x: 1, y: 2 }, "shop.sample was called with keyword arguments (x, y) but names no parameters: set @Task({ params: ['x', 'y'] }), in the order of run's parameters"],
    [task, [], { x: 1, w: 2 }, 'shop.sample was called with the keyword argument w, but its params are (x, y, z): use one of these, or add it to @Task({ params })'],
    [task, [1, 2], { y: 2 }, 'shop.sample was called with the argument y twice, by position (1) and by keyword: send it only once'],
    [task, [], JSON.parse('{"__proto__": {"polluted": 1}}') as Record<string, unknown>, 'the keyword argument __proto__, but its params are (x, y, z)'],
    [task, [], { toString: 1 }, 'the keyword argument toString'],
  ])('%#: are refused where they cannot', async (of, args, kwargs, message) => {
    expect(await refusal('LOVAGE_ARGUMENTS', () => decodeArgs(of, request(args, kwargs)))).toContain(message);
    expect(({} as { polluted?: number }).polluted).toBeUndefined();
  });
}); // prettier-ignore

describe('arguments without declared types', () => {
  it('travel by the tags alone, and are not copied', () => {
    const args = [1, 'a', { at: new Date(5) }, new Set([1n]), null];
    expect(travel(definition(), args)).toEqual(args);
    const sent = request([{ deep: [] }]);
    expect((decodeArgs(definition(), sent) as unknown[])[0]).toBe(sent.args[0]);
    expect(decodeArgs(definition(), sent)).not.toBe(sent.args);
  });

  it('leave out trailing undefined, so that defaults apply', () => {
    expect(encodeArgs(null, [1, undefined, 2, undefined, undefined])).toBe('[1,null,2]');
    expect(encodeArgs(null, [undefined])).toBe('[]');
  });

  it('name the path of what cannot travel', async () => {
    expect(await refusal('LOVAGE_PAYLOAD', () => encodeArgs(null, [{ items: [0, { cb: () => 1 }] }]))).toBe(
      'args[0].items[1].cb: a function cannot travel',
    );
    expect(await refusal('LOVAGE_PAYLOAD', () => encodeKwargs({ cb: () => 1 }))).toContain('kwargs.cb: a function');
  });
});

describe('declared built-in types', () => {
  it.each<[ValueType, unknown, unknown]>([
    [builtIn(Number), 1, 1],
    [builtIn(String), 'a', 'a'],
    [builtIn(Boolean), false, false],
    [builtIn(BigInt), 5, 5n],
    [builtIn(BigInt), 5n, 5n],
    [builtIn(Date), '2026-11-22T06:19:37+01:00', new Date('2026-11-22T05:19:37Z')],
    [builtIn(Date), '2026-11-22T06:19:37.123456', new Date('2026-11-22T06:19:37.123Z')],
    [builtIn(Date), new Date(7), new Date(7)],
    [builtIn(Date, true), ['2026-11-22', null], [new Date('2026-11-22T00:00:00Z'), null]],
    [builtIn(Uint8Array), Buffer.from('x'), Buffer.from('x')],
    [builtIn(Map), new Map([[1, 2]]), new Map([[1, 2]])],
    [builtIn(Set), new Set([1]), new Set([1])],
    [builtIn(Array), [1], [1]],
    [builtIn(Object), 'anything', 'anything'],
    [builtIn(Promise as never), 'unchecked', 'unchecked'],
    [builtIn(Number), null, null],
  ])('%#: take what fits', (declared, sent, received) => {
    expect(travel(definition({ argTypes: [declared] }), [sent])).toStrictEqual([received]);
  });

  it.each<[ValueType, unknown, string]>([
    [builtIn(Number), '1', 'expected argument 0 (order) to be a number, got "1"'],
    [builtIn(Number), 2n ** 60n, 'to be a number, got 1152921504606846976n'],
    [builtIn(String), 1, 'to be a string, got 1'],
    [builtIn(Boolean), 0, 'to be a boolean, got 0'],
    [builtIn(Date), 'tomorrow', 'to be a Date or an ISO 8601 string, got "tomorrow"'],
    [builtIn(Date), 17, 'to be a Date or an ISO 8601 string, got 17'],
    [builtIn(BigInt), 1.5, 'to be a bigint, got 1.5'],
    [builtIn(Uint8Array), 'abc', 'to be a Uint8Array, got "abc"'],
    [builtIn(Map), {}, 'to be a Map, got an object'],
    [builtIn(Set), [], 'to be a Set, got an array of 0'],
    [builtIn(Number, true), 1, 'expected argument 0 (order) to be an array, got 1'],
    [builtIn(Number, true), [1, 'b'], 'expected argument 0 (order): [1] to be a number, got "b"'],
  ])('%#: refuse what does not', async (declared, sent, message) => {
    const task = definition({ params: ['order'], argTypes: [declared] });
    expect(await refusal('LOVAGE_ARGUMENTS', () => travel(task, [sent]))).toContain(message);
  });

  it('apply to keyword arguments, and not to absent ones', () => {
    const task = definition({ params: ['a', 'b', 'c'], argTypes: [null, builtIn(Date), builtIn(Number)] });
    expect(decodeArgs(task, request([], { b: '2026-01-01' }))).toEqual([undefined, new Date('2026-01-01T00:00:00Z')]);
  });
});

describe('DTO classes', () => {
  const task = definition({ params: ['order'], argTypes: [builtIn(Order)] });

  it('are revived, nested classes and dates too', async () => {
    const order = Object.assign(new Order(), {
      id: 1,
      placedAt: new Date(9),
      items: [{ price: 2 }, { price: 3, sku: 'b' }],
    });
    const [revived] = (await travel(task, [order])) as [Order];
    expect(revived).toBeInstanceOf(Order);
    expect(revived.items[0]).toBeInstanceOf(Line);
    expect(revived.items[0]?.sku).toBe('none');
    expect(revived.placedAt).toEqual(new Date(9));
    expect(revived.total()).toBe(5);
    const [fromPython] = (await decodeArgs(task, request([{ id: 1, placedAt: '2026-01-01T00:00:00Z' }]))) as [Order];
    expect(fromPython.placedAt).toEqual(new Date('2026-01-01T00:00:00Z'));
  });

  it("keep what the wire carries by itself, and obey class-transformer's decorators", () => {
    const account = definition({ argTypes: [builtIn(Account)], resultType: builtIn(Account) });
    const sent = Object.assign(new Account(), {
      tags: new Set(['a']),
      lines: new Map([[1, Object.assign(new Line(), { price: 1 })]]),
      photo: new Uint8Array([1, 2]),
      balance: 10n,
      since: new Date(3),
      email: 'a@b',
      password: 'secret',
      country: 'de',
      link: new URL('http://a/'),
      anything: { constructor: 'text', nested: [new Map([['k', new Date(1)]])] },
    });
    for (const value of [sent, { ...sent }]) {
      const json = encodeArgs(account, [value]);
      expect(json).not.toContain('secret');
      expect(json).toContain('"mail":"a@b"');
      const [revived] = decodeArgs(account, request(JSON.parse(json) as unknown[])) as [Account];
      expect(revived).toBeInstanceOf(Account);
      expect(revived.lines.get(1)).toBeInstanceOf(Line);
      expect(revived).toMatchObject({
        tags: new Set(['a']),
        photo: Buffer.from([1, 2]),
        balance: 10n,
        since: new Date(3),
        email: 'a@b',
        country: 'DE',
        link: 'http://a/',
      });
      expect(revived.anything).toEqual({ constructor: 'text', nested: [new Map([['k', new Date(1)]])] });
    }
    expect(decodeResult(account, JSON.parse(encodeResult(account, sent, 1e6)))).toBeInstanceOf(Account);
  });

  it('are validated, and every problem is named by its path', async () => {
    const bad = { id: 'x', items: [{ price: -1, sku: 1 }] };
    expect(await refusal('LOVAGE_ARGUMENTS', () => decodeArgs(task, request([bad])))).toBe(
      'argument 0 (order): id must be an integer number; items[0].price must be a positive number; items[0].sku must be a string',
    );
    const many = definition({ argTypes: [builtIn(Line, true)] });
    const lines = [{ price: 1 }, null, { price: 0 }];
    expect(await refusal('LOVAGE_ARGUMENTS', () => decodeArgs(many, request([lines])))).toBe(
      'argument 0: [2].price must be a positive number',
    );
  });

  it('may be null or absent, and nothing else but an object', async () => {
    expect(await decodeArgs(task, request([null]))).toEqual([null]);
    expect(await decodeArgs(task, request([]))).toEqual([]);
    expect(await refusal('LOVAGE_ARGUMENTS', () => decodeArgs(task, request(['x'])))).toBe(
      'expected argument 0 (order) to be an object (Order), got "x"',
    );
    expect(await refusal('LOVAGE_ARGUMENTS', () => decodeArgs(task, request([[]])))).toContain('got an array of 0');
  });

  it('wait for validators that are asynchronous, and name what breaks in one', async () => {
    @ValidatorConstraint({ async: true })
    class Known {
      async validate(value: unknown): Promise<boolean> {
        if (value === 'throw') throw new Error('lookup failed');
        return value === 'known';
      }
      defaultMessage(): string {
        return 'unknown customer';
      }
    }
    class Customer {
      @Validate(Known) @IsOptional() name?: string;
    }
    const of = definition({ argTypes: [builtIn(Customer)] });
    expect(await decodeArgs(of, request([{ name: 'known' }]))).toEqual([{ name: 'known' }]);
    expect(await refusal('LOVAGE_ARGUMENTS', () => decodeArgs(of, request([{ name: 'x' }])))).toBe(
      'argument 0: name: unknown customer',
    );
    expect(await refusal('LOVAGE_ARGUMENTS', () => decodeArgs(of, request([{ name: 'throw' }])))).toBe(
      'argument 0 could not be validated: lookup failed',
    );
  });

  it('that class-validator does not decorate stay synchronous', () => {
    class Plain {
      a = 1;
    }
    const args = decodeArgs(definition({ argTypes: [builtIn(Plain)] }), request([{ b: 2 }])) as unknown[];
    expect(args[0]).toBeInstanceOf(Plain);
    expect(args[0]).toEqual({ a: 1, b: 2 });
  });

  it("name the argument when the class's own code throws", async () => {
    class Picky {
      constructor() {
        throw new TypeError('not today');
      }
    }
    const of = definition({ params: ['p'], argTypes: [builtIn(Picky)] });
    expect(await refusal('LOVAGE_ARGUMENTS', () => decodeArgs(of, request([{}])))).toBe(
      'argument 0 (p) could not be revived as Picky: not today',
    );
  });

  it('are polluted by no payload', async () => {
    const text =
      '[{"id":1,"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}},"items":[{"price":1,"__proto__":{"polluted":1}}]}]';
    const [order] = (await decodeArgs(task, request(JSON.parse(text) as unknown[]))) as [Order];
    expect(Object.getPrototypeOf(order)).toBe(Order.prototype);
    expect(Object.getPrototypeOf(order.items[0])).toBe(Line.prototype);
    for (const object of [{}, order, order.items[0], Order.prototype, Line.prototype]) {
      expect((object as { polluted?: number }).polluted).toBeUndefined();
    }
  });

  it('are made without changing the request, subclasses by their discriminator too', () => {
    class Shape {
      kind?: string;
    }
    class Circle extends Shape {
      radius!: number;
    }
    class Drawing {
      @Type(() => Shape, { discriminator: { property: 'kind', subTypes: [{ name: 'circle', value: Circle }] } })
      shapes!: Shape[];
    }
    const sent = request([{ shapes: [{ kind: 'circle', radius: 1 }] }]);
    const before = JSON.stringify(sent);
    const [drawing] = decodeArgs(definition({ argTypes: [builtIn(Drawing)] }), sent) as [Drawing];
    expect(drawing.shapes[0]).toBeInstanceOf(Circle);
    expect(JSON.stringify(sent)).toBe(before);
  });

  it('are revived all the same where class-validator is not installed', () => {
    jest.isolateModules(() => {
      jest.doMock('class-validator', () => {
        throw Object.assign(new Error('Cannot find module'), { code: 'MODULE_NOT_FOUND' });
      });
      // eslint-disable-next-line @typescript-eslint/no-require-imports -- a second copy, which has not asked yet
      const mapper = require('./payload-mapper.js') as { decodeArgs: typeof decodeArgs };
      const args = mapper.decodeArgs(task, request([{ id: 'x' }])) as unknown[];
      expect(args[0]).toBeInstanceOf(Order);
      jest.dontMock('class-validator');
    });
  });

  it('refuse a cycle when they are sent', async () => {
    const order = new Order() as Order & { self?: unknown };
    order.self = order;
    expect(await refusal('LOVAGE_PAYLOAD', () => encodeArgs(task, [order]))).toContain(
      'args[0] as Order: nesting deeper',
    );
  });
});

describe('results', () => {
  const task = definition();

  it('travel by the tags', () => {
    const value = { at: new Date(1), big: 1n };
    expect(decodeResult(task, JSON.parse(encodeResult(task, value, 1_000)))).toEqual(value);
    expect(encodeResult(task, undefined, 1_000)).toBe('null');
  });

  it('are revived by the declared type where it fits', () => {
    expect(decodeResult(definition({ resultType: builtIn(Date) }), '2026-01-01')).toEqual(
      new Date('2026-01-01T00:00:00Z'),
    );
    const lines = decodeResult(definition({ resultType: builtIn(Line, true) }), [{ price: 1 }, null]) as unknown[];
    expect(lines[0]).toBeInstanceOf(Line);
    expect(lines[1]).toBeNull();
    expect(decodeResult(definition({ resultType: builtIn(Line) }), 'odd')).toBe('odd');
    expect(decodeResult(null, { __type__: 'set', __value__: [1] })).toEqual(new Set([1]));
  });

  it.each<[unknown, string]>([
    [() => 1, 'the result of shop.sample cannot be stored: result: a function cannot travel'],
    [{ a: ['x\0'] }, 'the result of shop.sample cannot be stored: a string in it holds a NUL character (\\u0000)'],
    ['\ud800', 'a string in it holds a lone surrogate'],
    ['x'.repeat(2_000), 'result: its JSON is larger than 1000 bytes'],
  ])('%#: that cannot be stored are refused', async (value, message) => {
    expect(await refusal('LOVAGE_RESULT_NOT_STORABLE', () => encodeResult(task, value, 1_000))).toContain(message);
  });
});
