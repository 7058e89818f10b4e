import { Arg, Returns, Task, TaskRegistry, taskDefinitionOf } from '../index.js';

class Order {
  id!: string;
}

@Task({ name: 'billing.divide', queue: 'billing', ignoreResult: true, params: ['x', 'y'] })
class Divide {
  run(x: number, y: number): number {
    return x / y;
  }
}

@Task()
class Plain {
  run(): void {}
}

@Task({ name: 'billing.invoice' })
class Invoice {
  @Returns(() => [Order])
  run(@Arg() order: Order, note: string, @Arg(() => [Order]) more: Order[], @Arg() at: Date): Order[] {
    void note;
    void at;
    return [order, ...more];
  }
}

describe('@Task', () => {
  it('resolves its options, with the class name as the default name', () => {
    expect(taskDefinitionOf(Divide)).toMatchObject({
      name: 'billing.divide',
      queue: 'billing',
      ignoreResult: true,
      params: ['x', 'y'],
    });
    expect(taskDefinitionOf(Plain)).toMatchObject({
      name: 'Plain',
      queue: null,
      ignoreResult: false,
      params: null,
      argTypes: [],
      resultType: null,
    });
    expect(taskDefinitionOf(Divide)).toBe(taskDefinitionOf(Divide));
  });

  it('knows the types of declared parameters and of the result', () => {
    const definition = taskDefinitionOf(Invoice);
    expect(definition?.argTypes).toEqual([
      { type: Order, isArray: false },
      null,
      { type: Order, isArray: true },
      { type: Date, isArray: false },
    ]);
    expect(definition?.resultType).toEqual({ type: Order, isArray: true });
  });

  it('is not inherited', () => {
    class Sub extends Plain {}
    expect(taskDefinitionOf(Sub)).toBeNull();
    expect(taskDefinitionOf({})).toBeNull();
    expect(taskDefinitionOf(undefined)).toBeNull();
  });

  it.each([
    [
      { nam: 'x' },
      "@Task of class Bad: 'nam' is not an option (did you mean 'name'?); the options are name, queue, ignoreResult, params, retry, pool, rateLimit, softTimeLimit, timeLimit",
    ],
    [{ name: 'a b' }, '@Task of class Bad: expected name to be 1 to 255 characters without white space, got "a b"'],
    [
      { timeLimit: 'soon' },
      '@Task of class Bad: expected timeLimit to be a duration from 1 ms to 24d, such as \'30s\', got "soon"',
    ],
    [
      { softTimeLimit: '1m', timeLimit: '60s' },
      '@Task of class Bad: expected softTimeLimit to be shorter than timeLimit: a task needs time to heed it',
    ],
    [{ pool: 'forks' }, "@Task of class Bad: expected pool to be 'async' or 'threads', got \"forks\""],
    [{ ignoreResult: 1 }, '@Task of class Bad: expected ignoreResult to be true or false, got 1'],
    [
      { rateLimit: '10' },
      "@Task of class Bad: expected rateLimit to be a number of starts a second, minute or hour, such as '10/s', '90/m' or '5/h', got \"10\"",
    ],
    [
      { params: ['x', 'x'] },
      "@Task of class Bad: expected params to be the distinct names of run's parameters, such as ['x', 'y'], got an array of 2",
    ],
  ])('refuses %j', (options, message) => {
    class Bad {
      run(): void {}
    }
    expect(() => Task(options as object)(Bad)).toThrow(
      expect.objectContaining({ code: 'LOVAGE_TASK_DEFINITION', message }) as Error,
    );
  });

  it('refuses a class without run, at compile time and at run time', () => {
    class NoRun {}
    // @ts-expect-error a task needs a method run
    expect(() => Task()(NoRun)).toThrow('expected the class to have a method run(…)');
  });

  it('refuses @Arg and @Returns elsewhere than on run', () => {
    expect(() => Arg()({}, 'walk', 0)).toThrow('@Arg belongs on a parameter of the method run, not of walk');
    expect(() => Arg()(class {}, undefined, 0)).toThrow('not of the constructor');
    expect(() => Returns(() => Order)({}, 'walk', {})).toThrow('@Returns belongs on the method run, not on walk');
  });

  it('says how to mend missing metadata', () => {
    class NoMetadata {
      run(): void {}
    }
    Arg()(NoMetadata.prototype, 'run', 0);
    Task()(NoMetadata);
    expect(() => taskDefinitionOf(NoMetadata)).toThrow('set "emitDecoratorMetadata": true in tsconfig.json');
  });
});

describe('TaskRegistry', () => {
  it('lists by name and refuses one name for two tasks, unless a module was loaded anew', () => {
    const named = (name: string): new () => { run(): void } => {
      class Made {
        run(): void {}
      }
      Task({ name })(Made);
      return Made;
    };
    const tasks = new TaskRegistry();
    tasks.register(named('b'), '/x/tasks');
    tasks.register(named('a'), '/x/tasks');
    expect(tasks.list().map(({ name }) => name)).toEqual(['a', 'b']);
    const again = named('a');
    expect(tasks.register(again, '/x/tasks').taskClass).toBe(again);
    expect(() => tasks.register(named('a'), '/y/tasks')).toThrow(
      "two tasks are named 'a': Made from /x/tasks and Made from /y/tasks",
    );
    expect(() => tasks.register(class {})).toThrow('expected a class decorated with @Task');
  });
});
