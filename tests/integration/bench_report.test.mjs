// What the benchmark makes of its figures: bars, tables, the chart and the sizing sheet.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chart } from '../bench/chart.mjs';
import { describeRun, faultsOf, judge, markdown } from '../bench/report.mjs';
import { allScenarios } from '../bench/scenarios.mjs';
import { sizing } from '../bench/sizing.mjs';

const scenarios = allScenarios({ quick: false });
const targets = [{ name: 'limit', title: 'limit' }, { name: 'sluice', title: 'sluice' }, { name: 'nchan-redis', title: 'Nchan <Redis>', isPeer: true }];
const machine = { date: 'today', commit: 'abc', processors: 2, processor: 'some', kernel: 'Linux', redis: '7', pinned: true };

const run = (over = {}) => ({
  main: {
    deliveries: 1000, deliveredBytes: 232000, deliveriesPerSecond: 100, seconds: { measured: 10 }, serverCpuSeconds: { measured: { total: 0.5 } },
    publisher: { lateMsMax: 1 }, healthy: { lost: 0, ...over },
  },
});
const record = (scenario, target, figures, { round = 0, runs = run() } = {}) => ({ scenario, target, figures, round, runs });

function result(records, more = {}) {
  const rounds = 1 + Math.max(0, ...records.map(({ round }) => round));
  return { machine, scenarios, records, targets, rounds, failures: [], missing: [], notes: [], bars: judge(scenarios, records, rounds), ...more };
}

const bar = ({ bars }, name) => bars.find((one) => one.name === name);

test('a bar is the median over the rounds of the ratio within a round', () => {
  const records = [[1, 1.0], [2, 4.0], [4, 4.4]].flatMap(([limit, own], round) => [
    record('S1', 'limit', { cpu: limit, p99: 1 }, { round }), record('S1', 'sluice', { cpu: own, p99: 1 }, { round }),
  ]);
  const found = bar(result(records), 'S1 CPU per delivery ÷ limit');
  assert.equal(found.value, 1.1);
  assert.equal(found.reachedStrict, true);
});

test('a bar against a server that was not measured is left out of the table', () => {
  const text = markdown(result([record('S1', 'sluice', { cpu: 5, p99: 2 })]));
  assert.match(text, /\| sluice \|/);
  assert.doesNotMatch(text, /÷ Nchan with Redis/);
});

test('a bar that is missed says so, and one that wants at least something is read the other way', () => {
  const records = [
    record('S1', 'sluice', { cpu: 8, p99: 2 }), record('S1', 'nchan-redis', { cpu: 10, p99: 2 }),
    record('S4', 'sluice', { deliveries: 600 }), record('S4', 'nchan-redis', { deliveries: 10 }),
  ];
  assert.equal(bar(result(records), 'S1 CPU per delivery ÷ Nchan with Redis').reachedStrict, false);
  assert.equal(bar(result(records), 'S4 deliveries/s ÷ Nchan with Redis').reachedStrict, true);
  assert.match(markdown(result(records)), /\*\*missed\*\*/);
});

test('what was lost is said of every server, and misses a bar only for sluice', () => {
  const lost = { runs: run({ lost: 7 }) };
  const others = result([record('S1', 'sluice', { cpu: 5 }), record('S1', 'nchan-redis', { cpu: 5 }, lost)]);
  assert.match(describeRun(others), /Nchan <Redis>: lost 7 \(S1 main\)/);
  assert.equal(bar(others, 'messages lost, duplicated, out of order or corrupt').reachedStrict, true);
  const own = result([record('S1', 'sluice', { cpu: 5 }, lost)]);
  assert.equal(bar(own, 'messages lost, duplicated, out of order or corrupt').reachedStrict, false);
  assert.deepEqual(faultsOf(own.records), ['lost 7 (S1 main)']);
});

test('servers that are not installed are named with the reason', () => {
  const text = describeRun(result([], { missing: [{ title: 'webdis', reason: 'webdis is not installed' }] }));
  assert.match(text, /Not measured: webdis \(webdis is not installed\)/);
});

test('the chart has a bar for each server as long as its figure, and is well formed', () => {
  const svg = chart(result([record('S1', 'limit', { cpu: 5 }), record('S1', 'sluice', { cpu: 5 }), record('S1', 'nchan-redis', { cpu: 10 })]));
  const widths = [...svg.matchAll(/<rect class="(\w+)"[^>]* width="([\d.]+)"/g)].map(([, kind, width]) => [kind, Number(width)]);
  assert.deepEqual(widths.map(([kind]) => kind), ['limit', 'own', 'bar']);
  assert.equal(widths[1][1] * 2, widths[2][1]);
  assert.match(svg, /prefers-color-scheme: dark/);
  assert.match(svg, /Nchan &#60;Redis&#62;/);
  const opened = svg.match(/<(svg|style|text|rect)\b/g).length, closed = svg.match(/<\/(svg|style|text)>|\/>/g).length;
  assert.equal(opened, closed);
  assert.equal(chart(result([])), undefined);
});

test('the sizing sheet computes cores, memory and bandwidth from the figures', () => {
  const sheet = sizing(result([
    record('S1', 'sluice', { cpu: 5 }), record('N1', 'sluice', { cpu19000: 10 }), record('S2', 'sluice', { cpu: 20 }), record('S4', 'sluice', { cpu: 0.05 }),
    record('S3', 'sluice', { bytesMany: 200, kernel: 4800, connectCpu: 0.25 }),
  ]));
  // 1,000,000 deliveries/s × 10 µs ÷ 0.5 = 20 cores; 1,000,000 × 5,000 bytes; 1,000,000/s × (200 + 32 + 90) bytes × 8.
  assert.match(sheet, /\| 1,000,000 \| the same for all \| 1 \| 200 \| 1,000,000 \| 20\.0 \| 10 \| 5,000 MB \| 2,576 Mbit\/s \|/);
  assert.match(sheet, /\| 10,000 \| each its own \| 1 \| 200 \| 10,000 \| 0\.40 \| 1 \|/);
  assert.equal(sizing(result([record('S1', 'sluice', { cpu: 5 })])), undefined);
});
