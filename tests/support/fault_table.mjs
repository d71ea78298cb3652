// Writes the table of faults into docs/RELIABILITY.md, from the lines that a run of tests/faults left (see fault.mjs):
//
//   node tests/support/fault_table.mjs <report> <document> <heading of the run>

import { readFileSync, writeFileSync } from 'node:fs';

const BEGIN = '<!-- faults: written by ./dev faults --report -->';
const END = '<!-- end of faults -->';

/** Text in a cell: no pipes, no line ends, no tags. */
function cell(text) {
  return text.replace(/\s+/g, ' ').replaceAll('|', '\\|').replaceAll('<', '&lt;').trim();
}

function duration(milliseconds) {
  if (milliseconds === undefined) return '';
  return milliseconds < 1000 ? `${milliseconds} ms` : `${(milliseconds / 1000).toFixed(1)} s`;
}

function verdict({ held, skipped, open }) {
  if (held === null && open) return cell(`**not proven**: ${open}`);
  if (held === null) return cell(`not run: ${skipped}`);
  return held ? 'yes' : '**no**';
}

function row(line) {
  const cells = [line.row ?? '', cell(line.fault), cell(line.expected), cell(line.seen), duration(line.recovered_ms), verdict(line)];
  return `| ${cells.join(' | ')} |`;
}

function byRow(one, other) {
  return (one.row ?? Infinity) - (other.row ?? Infinity) || one.fault.localeCompare(other.fault);
}

const [report, document, heading] = process.argv.slice(2);
const lines = readFileSync(report, 'utf8').split('\n').filter(Boolean).map((line) => JSON.parse(line));
const held = lines.filter((line) => line.held).length;
const missed = lines.filter((line) => line.held === false).length;
const open = lines.filter((line) => line.held === null && line.open).length;
const left = lines.length - held - missed - open;
const table = [
  BEGIN,
  `${heading}: ${held} of ${lines.length} cases held${missed ? `, **${missed} did not**` : ''}${open ? `, ${open} not proven` : ''}${left ? `, ${left} not run` : ''}.`,
  '',
  '| # | fault | expected | seen | all well after | held |',
  '|---|---|---|---|---|---|',
  ...lines.sort(byRow).map(row),
  END,
].join('\n');
const text = readFileSync(document, 'utf8');
const begin = text.indexOf(BEGIN);
const end = text.indexOf(END);
if (begin < 0 || end < begin) throw new Error(`${document} has no place for the table: ${BEGIN} … ${END}`);
writeFileSync(document, text.slice(0, begin) + table + text.slice(end + END.length));
