// Writes what ./dev fuzz --report did into docs/RELIABILITY.md:
//
//   node tests/fuzz/report.mjs <figures> <document> <heading of the run>
//
// A line of the figures is: target, seconds, runs, and whether there was a finding. Targets that did not run keep their row.

import { readFileSync } from 'node:fs';
import { thousands, writeSection } from '../support/section.mjs';

/** The first comment of a target says what it checks. */
function purpose(name) {
  const source = readFileSync(new URL(`${name}.c`, import.meta.url), 'utf8');
  const [, comment] = source.match(/^\/\*([^]*?)\*\//);
  const text = comment.replace(/^\s*\* ?/gm, ' ').replace(/\s+/g, ' ').trim();
  return text.replace(/ Input: .*$/, '').replaceAll('|', '\\|');
}

/** The rows of a document, by the target's name. */
function rowsOf(document) {
  const section = readFileSync(document, 'utf8').match(/<!-- fuzzing: [^]*<!-- end of fuzzing -->/)[0];
  return new Map([...section.matchAll(/^\| `(\w+)` \|.*$/gm)].map(([row, name]) => [name, row]));
}

const [figures, document, heading] = process.argv.slice(2);
const rows = rowsOf(document);
const lines = readFileSync(figures, 'utf8').trim().split('\n').map((line) => line.split(' '));
for (const [target, seconds, runs, found] of lines) {
  const name = target.slice('fuzz_'.length);
  rows.set(name, `| \`${name}\` | ${purpose(target)} | ${thousands(seconds)} s | ${thousands(runs)} | ${found === 'no' ? 'none' : '**yes**'} |`);
}
writeSection(document, 'fuzzing', [
  `${heading}: ${lines.length} of ${rows.size} targets, the others in runs before it.`,
  '',
  '| target | what it checks | time | inputs | findings |',
  '|---|---|---|---|---|',
  ...[...rows].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, row]) => row),
].join('\n'));
