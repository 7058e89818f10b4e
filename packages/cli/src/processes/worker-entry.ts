import { runForked } from './run-forked.js';
import { runWorkerProcess } from './run-worker-process.js';

/** What each process of `lovage worker --processes` runs, forked by superviseWorkers; what to do comes as its first message. */

// worker-entry.js <app> <loglevel>
runForked(runWorkerProcess, process.argv[3]);
