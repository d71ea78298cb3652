// Runs test files, each in a process of its own, and counts. `node --test` would do, were it not for what Node 18 lacks: a number of
// files at a time that does not follow the cores, and a limit for a file.
//
//   node tests/support/suite.mjs [--at-a-time 3] [--file-seconds 180] [--counts FILE] <file>…
//
// FILE gets `<passed> <failed>`, also when it is told to end early. The exit status is 0 when nothing failed and something passed.

import { writeFileSync } from 'node:fs';
import { basename, resolve } from 'node:path';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { parseArgs } from 'node:util';

const { values: options, positionals: files } = parseArgs({
  allowPositionals: true,
  options: {
    'at-a-time': { type: 'string', default: '3' },
    'file-seconds': { type: 'string', default: '180' },
    counts: { type: 'string' },
  },
});
const names = new Set(files.map((file) => basename(file)));
let passed = 0;
let failed = 0;

/** Suites, and in Node 18 files, report like tests; they count only when something outside of any test failed. */
const isContainer = ({ name, details }) => details?.type === 'suite' || names.has(basename(name));

function finish() {
  if (options.counts) writeFileSync(options.counts, `${passed} ${failed}\n`);
  process.exitCode = failed === 0 && passed > 0 ? 0 : 1;
}

const tests = run({
  files: files.map((file) => resolve(file)),
  concurrency: Number(options['at-a-time']),
  timeout: Number(options['file-seconds']) * 1000,
});
tests.on('test:pass', (data) => {
  if (!isContainer(data) && data.skip === undefined) passed++;
});
tests.on('test:fail', (data) => {
  if (!isContainer(data) || data.details?.error?.failureType !== 'subtestsFailed') failed++;
});
tests.once('end', finish);
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.once(signal, () => {
    failed++;
    finish();
    process.exit();
  });
}
tests.compose(new spec()).pipe(process.stdout);
