import path from 'node:path';
import { runNode } from '../support/lovage-process.js';
import { type PageProject, openPage, projectsFolder, writePage } from './how-to-page.js';

const PAGES = ['delay-tasks', 'retry-tasks', 'enqueue-in-a-transaction', 'unique-tasks', 'relay'];
const TSC = path.join(__dirname, '..', '..', 'node_modules', 'typescript', 'bin', 'tsc');

describe('the examples of the how-to pages', () => {
  jest.setTimeout(120_000);
  let projects: ReturnType<typeof projectsFolder>;
  let project: PageProject | undefined;

  beforeAll(() => {
    projects = projectsFolder();
    for (const page of PAGES) writePage(page, projects.folder);
  });

  afterEach(async () => {
    await project?.remove();
    project = undefined;
  });

  afterAll(() => projects?.remove());

  async function open(page: string): Promise<PageProject> {
    return (project = await openPage(page, path.join(projects.folder, page)));
  }

  it('are good TypeScript', async () => {
    const { code, stdout } = await runNode([TSC, '-p', projects.folder]);
    expect(stdout).toBe('');
    expect(code).toBe(0);
  });

  it.each(PAGES)('%s.md does what it shows', async (page) => {
    await (await open(page)).follow();
  });
});
