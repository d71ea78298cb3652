// Writes what ./dev fuzz --report did into docs/RELIABILITY.md:
//
//   node tests/fuzz/report.mjs <figures> <document> <heading of the run>
//
// A line of the figures is: target, seconds, runs, and whether there was a finding.

import { readFileSync } from 'node:fs';
import { thousands, writeSection } from '../support/section.mjs';

/** The first comment of a target says what it checks. */
function purpose(name) {
  const source = readFileSync(new URL(`${name}.c`, import.meta.url), 'utf8');
  const [, comment] = source.match(/^\/\*([^]*?)\*\//);
  const text = comment.replace(/^\s*\* ?/gm, ' ').replace(/\s+/g, ' ').trim();
  return text.replace(/ Input: .*$/, '').replaceAll('|', '\\|');
}

const [figures, document, heading] = process.argv.slice(2);
const targets = readFileSync(figures, 'utf8').trim().split('\n').map((line) => {
  const [name, seconds, runs, found] = line.split(' ');
  return { name, seconds: Number(seconds), runs: Number(runs), found };
});
const total = targets.reduce((sum, { runs }) => sum + runs, 0);
const rows = targets.map(({ name, seconds, runs, found }) =>
  `| \`${name.slice('fuzz_'.length)}\` | ${purpose(name)} | ${thousands(seconds)} s | ${thousands(runs)} | ${found === 'no' ? 'none' : '**yes**'} |`);
writeSection(document, 'fuzzing', [
  `${heading}: ${targets.length} targets, ${thousands(total)} inputs.`,
  '',
  '| target | what it checks | time | inputs | findings |',
  '|---|---|---|---|---|',
  ...rows,
].join('\n'));
