// Writes a run into the documentation: what stands between the marks in docs/PERFORMANCE.md, and the chart.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { chart } from './chart.mjs';
import { barTable, describeRun, scenarioTable } from './report.mjs';
import { sizing } from './sizing.mjs';

function between(text, mark, content) {
  const [begin, end] = [`<!-- ${mark}: written by ./dev bench --write-docs -->`, `<!-- /${mark} -->`];
  const [at, until] = [text.indexOf(begin), text.indexOf(end)];
  if (at < 0 || until < at) throw new Error(`docs/PERFORMANCE.md has no ${mark} part`);
  return `${text.slice(0, at + begin.length)}\n${content}\n${text.slice(until)}`;
}

/** Which part of the document a scenario's table stands in. */
const PARTS = [
  ['peers', ['S1', 'S2', 'S3', 'S4', 'S5', 'S7']],
  ['growth', ['N1', 'C1', 'M1', 'L1']],
  ['features', ['K1', 'G1', 'W1', 'A1']],
  ['streams', ['D1', 'D2', 'D3']],
];

/** The files written. */
export function writeDocs(root, result) {
  const file = join(root, 'docs/PERFORMANCE.md');
  let text = readFileSync(file, 'utf8');
  const has = (id) => result.records.some(({ scenario }) => scenario === id);
  for (const [part, ids] of PARTS) {
    const tables = result.scenarios.filter(({ id }) => ids.includes(id) && has(id)).map((scenario) => scenarioTable(scenario, result.records, result.targets));
    if (tables.length) text = between(text, part, tables.join('\n\n'));
  }
  text = between(text, 'run', describeRun(result));
  text = between(text, 'bars', barTable(result.bars.filter(({ value }) => Number.isFinite(value))));
  const sheet = sizing(result);
  if (sheet) text = between(text, 'sizing', sheet);
  writeFileSync(file, text);
  const picture = chart(result);
  if (!picture) return [file];
  const pictureFile = join(root, 'docs/performance.svg');
  writeFileSync(pictureFile, picture);
  return [file, pictureFile];
}
