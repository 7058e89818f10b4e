import { Terminations } from './terminations.js';

it('say so where they cannot be read', async () => {
  const app = { app: './no-such-app', cwd: __dirname, loader: null, services: {} };
  const problem = await new Promise<string>((onProblem) => {
    const terminations: Terminations = new Terminations({
      app,
      graceMs: 0,
      onNews: () => undefined,
      onProblem: (text) => {
        terminations.stop();
        onProblem(text);
      },
    });
  });
  expect(problem).toMatch(/no-such-app/);
});
