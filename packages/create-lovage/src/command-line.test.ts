import { parseCommandLine } from './command-line.js';

describe('the command line', () => {
  it('has a default for everything', () => {
    expect(parseCommandLine([])).toEqual({
      folder: 'lovage-app',
      chosen: {},
      yes: false,
      install: true,
      shows: null,
    });
  });

  it.each([
    [['my-app', '--javascript', '--cjs'], { folder: 'my-app', chosen: { language: 'javascript', modules: 'cjs' } }],
    [['--typescript', '.', '--esm'], { folder: '.', chosen: { language: 'typescript', modules: 'esm' } }],
    [['--esm', '--esm'], { chosen: { modules: 'esm' } }],
    [['-y', '--no-install'], { yes: true, install: false }],
    [['--', '--odd'], { folder: '--odd' }],
    [['-h'], { shows: 'help' }],
    [['--version'], { shows: 'version' }],
  ])('%j', (argv, expected) => {
    expect(parseCommandLine(argv)).toMatchObject(expected);
  });

  it.each([
    [['--tpyescript'], 'unknown option --tpyescript'],
    [['-x'], 'unknown option -x'],
    [['--y'], 'unknown option --y'],
    [['--yes=no'], '--yes takes no value, got "no"'],
    [['--no-install='], '--no-install takes no value, got ""'],
    [['--esm', '--cjs'], 'expected one of --esm and --cjs, got both'],
    [['--javascript', '--typescript'], 'expected one of --typescript and --javascript, got both'],
    [['a', 'b'], 'expected one folder, got "a" and "b"'],
    [[''], 'expected the name of a folder, got ""'],
  ])('refuses %j', (argv, message) => {
    expect(() => parseCommandLine(argv)).toThrow(expect.objectContaining({ code: 'usage', message }));
  });
});
