import { randomUUID } from 'node:crypto';
import { tempTree } from '../../core/test/temp-tree.js';
import { type Ran, runMain } from '../test/run-main.js';

const app = (options: string): string =>
  `exports.app = new (require('@lovage/core').Lovage)({ broker: 'memory://', ${options} })`;
const STORED = app(`results: 'memory://${randomUUID()}'`);

const lovage = (argv: readonly string[], source = STORED): Promise<Ran> =>
  runMain(argv, { cwd: tempTree({ 'app.js': source }) });

describe('maintain', () => {
  it('deletes what is old, where results have no partitions', async () => {
    expect(await lovage(['maintain'])).toEqual({ code: 0, stdout: 'deleted 0 records, 0 revocations\n', stderr: '' });
    const { stdout } = await lovage(['maintain', '--json']);
    expect(JSON.parse(stdout)).toEqual({ records: 0, revocations: 0, partitions: null });
  });

  it('says so, where it has nothing to say', async () => {
    expect(await lovage(['maintain', '--dry-run'])).toMatchObject({
      code: 0,
      stdout: 'the results are not partitioned\n',
    });
  });

  it('needs results', async () => {
    const { code, stderr } = await lovage(['maintain'], app('results: null'));
    expect(code).toBe(2);
    expect(stderr).toContain('LOVAGE_RESULTS_NOT_CONFIGURED');
  });
});

describe('migrate --partition', () => {
  it.each([
    [['--partition', 'hour'], 'expected --partition to be one of day, week, month'],
    [['--partition', 'day', '--status'], 'leave one of them out'],
    [['--partition', 'day'], "this app's result backend cannot be partitioned"],
  ])('%p is refused', async (flags, message) => {
    const { code, stderr } = await lovage(['migrate', ...flags]);
    expect(code).toBe(2);
    expect(stderr).toContain(message);
  });
});
