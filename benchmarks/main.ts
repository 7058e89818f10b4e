/** The benchmark suite: `npm run bench [-- CASE… OPTIONS]`; see README.md. */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { CASES } from './cases/index.js';
import { barsOf } from './report/bars.js';
import { describeMachine } from './report/machine.js';
import { goalsLine, machineLines, type Report } from './report/report.js';
import { markdownOf, tableOf } from './report/table.js';
import type { Row } from './runner/figures.js';
import { readOptions, type SuiteOptions, usageOf } from './runner/options.js';
import { runCase } from './runner/run-case.js';
import { withServers } from './runner/servers.js';
import { endWithChildren, isInterrupted } from './support/processes.js';

const args = process.argv.slice(2);
/** As the report shows it: where it was written to is nobody's concern. */
const command = ['npm run bench', ...args]
  .join(' ')
  .replace(/ --(json|markdown|svg)[= ]\S+/g, '')
  .replace('bench ', 'bench -- ');

endWithChildren();
if (args.includes('--help')) console.log(usageOf(CASES));
else await main(optionsOrExit());

function optionsOrExit(): SuiteOptions {
  try {
    return readOptions(args, CASES);
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${usageOf(CASES)}`);
    process.exit(2);
  }
}

async function main(options: SuiteOptions): Promise<void> {
  const rows: Row[] = [];
  const skipped: string[] = [];
  const skip = (reason: string): void => {
    skipped.push(reason);
    console.log(`  skipped: ${reason}`);
  };
  try {
    await withServers({ install: options.install, skip }, async (servers) => {
      for (const one of options.cases) {
        await runCase(one, {
          servers,
          options,
          onTurn: (what) => process.stderr.write(`${what}\n`),
          onRows: (comparison, found) => {
            rows.push(...found);
            console.log(`\n${one.name}: ${comparison.title}\n${tableOf(found)}`);
          },
        });
      }
      const machine = await describeMachine({ ...servers, peers: servers.versions() });
      write({ command, machine, rounds: options.rounds, rows, skipped });
    });
  } catch (error) {
    if (!isInterrupted()) throw error;
  }

  function write(report: Report): void {
    console.log(`\n${[...machineLines(report), ...goalsLine(report)].join('\n')}`);
    const { json, markdown, svg } = options;
    if (json !== undefined) save(json, `${JSON.stringify(report, null, 2)}\n`);
    if (markdown !== undefined) save(markdown, markdownOf(report));
    if (svg !== undefined) save(svg, barsOf(report));
  }
}

/** A relative name is meant from where npm was called. */
function save(file: string, content: string): void {
  writeFileSync(path.resolve(process.env['INIT_CWD'] ?? '.', file), content);
}
