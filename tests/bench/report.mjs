// Medians, ratios, bars, and how they are written.

export function median(values) {
  const sorted = values.filter(Number.isFinite).sort((a, b) => a - b);
  if (sorted.length === 0) return NaN;
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** A publisher that is further behind its schedule did not get its core in time. */
const TRUSTED_LATE_MS = 10;

/** What went wrong for clients that read: nothing of it may happen. */
const FAULTS = ['lost', 'duplicate', 'outOfOrder', 'corrupt', 'otherEvents', 'disconnected'];

/** Everything that a target's runs did wrong, as `lost 12 (S4 main)`. */
export function faultsOf(records) {
  return records.flatMap(({ scenario, runs }) =>
    Object.entries(runs).flatMap(([run, { healthy }]) =>
      FAULTS.filter((fault) => healthy?.[fault]).map((fault) => `${fault} ${healthy[fault]} (${scenario} ${run})`)));
}

function figureOf(records, scenario, target, figure, round) {
  return records.find((record) => record.scenario === scenario && record.target === target && record.round === round)?.figures[figure];
}

/** The bar's value: a figure, or its ratio to another target's in the same round; the median over the rounds. */
function barValue(records, scenario, bar, rounds) {
  const values = [];
  for (let round = 0; round < rounds; round++) {
    const value = figureOf(records, scenario.id, 'sluice', bar.figure, round);
    const base = bar.dividedBy ? figureOf(records, scenario.id, bar.dividedBy, bar.figure, round) : 1;
    if (value !== undefined && base !== undefined) values.push(value / base);
  }
  return median(values);
}

function verdict(value, limit, atLeast) {
  if (limit === undefined || !Number.isFinite(value)) return undefined;
  return atLeast ? value >= limit : value <= limit;
}

export function judge(scenarios, records, rounds) {
  const bars = scenarios.flatMap((scenario) =>
    scenario.bars.map((bar) => {
      const value = barValue(records, scenario, bar, rounds);
      return { ...bar, value, reachedToday: verdict(value, bar.today, bar.atLeast), reachedStrict: verdict(value, bar.strict, bar.atLeast) };
    }));
  const faults = faultsOf(records.filter(({ target }) => target === 'sluice'));
  const ran = records.some(({ target }) => target === 'sluice');
  const faultless = { name: 'messages lost, duplicated, out of order or corrupt', value: ran ? faults.length : NaN, today: 0, strict: 0 };
  faultless.reachedToday = faultless.reachedStrict = verdict(faultless.value, 0);
  return [...bars, faultless];
}

export function number(value) {
  if (value === undefined || Number.isNaN(value)) return '–';
  if (value !== 0 && Math.abs(value) < 10) return value.toFixed(Math.abs(value) < 0.1 ? 4 : 2);
  return Math.abs(value) < 100 ? value.toFixed(1) : Math.round(value).toLocaleString('en-US');
}

function table(header, rows) {
  const line = (cells) => `| ${cells.join(' | ')} |`;
  return [line(header), line(header.map((_, i) => (i ? '---:' : '---'))), ...rows.map(line)].join('\n');
}

export function scenarioTable(scenario, records, targets) {
  const shown = targets.filter(({ name }) => records.some((record) => record.scenario === scenario.id && record.target === name));
  const figure = (name, key) =>
    median(records.filter((record) => record.scenario === scenario.id && record.target === name).map(({ figures }) => figures[key]));
  const rows = Object.entries(scenario.labels).map(([key, label]) => [label, ...shown.map(({ name }) => number(figure(name, key)))]);
  return `### ${scenario.id}: ${scenario.title}\n\n${table(['', ...shown.map(({ title }) => title)], rows)}`;
}

export function barTable(bars) {
  const mark = { true: 'reached', false: '**missed**', undefined: '' };
  const limit = (bar, value) => (value === undefined ? '' : `${bar.atLeast ? '≥' : '≤'} ${value}`);
  const rows = bars.map((bar) => [bar.name, number(bar.value), limit(bar, bar.today), mark[bar.reachedToday], limit(bar, bar.strict), mark[bar.reachedStrict]]);
  return table(['bar', 'measured', 'first bar', '', 'goal', ''], rows);
}

/** Which machine, what went wrong, and what was left out, in a few sentences. */
export function describeRun({ machine, records, targets, rounds, failures, missing, notes }) {
  const parts = [
    `${machine.date}, commit ${machine.commit}, ${machine.processors} × ${machine.processor}, ${machine.kernel}, Redis ${machine.redis}; ` +
      `${rounds === 1 ? 'one round' : `medians of ${rounds} rounds`}${machine.pinned ? '' : '; one core only, so nothing is pinned and the figures mean little'}.`,
  ];
  for (const { name, title } of targets) {
    const faults = faultsOf(records.filter(({ target }) => target === name));
    if (faults.length) parts.push(`${title}: ${faults.join(', ')}.`);
  }
  const late = records.flatMap(({ scenario, target, runs }) =>
    Object.values(runs).filter(({ publisher }) => publisher?.lateMsMax > TRUSTED_LATE_MS).map(() => `${scenario} ${target}`));
  if (late.length)
    parts.push(`The machine was busy with something else (the publisher itself was more than ${TRUSTED_LATE_MS} ms late), so the latencies of these ` +
      `say little: ${[...new Set(late)].join(', ')}.`);
  if (missing.length) parts.push(`Not measured: ${missing.map(({ title, reason }) => `${title} (${reason})`).join(', ')}. \`./dev bench --install-peers\` installs them.`);
  if (notes.length) parts.push(`With other sizes or left out:\n${notes.map((note) => `- ${note}`).join('\n')}`);
  if (failures.length) parts.push(`Failed:\n${failures.map((failure) => `- ${failure.split('\n')[0]}`).join('\n')}`);
  return parts.join('\n\n');
}

export function markdown(result) {
  const { scenarios, records, targets, bars } = result;
  const parts = [
    '# Benchmark',
    describeRun(result),
    ...scenarios.filter(({ id }) => records.some(({ scenario }) => scenario === id)).map((scenario) => scenarioTable(scenario, records, targets)),
    `### Bars\n${barTable(bars.filter(({ value }) => Number.isFinite(value)))}`,
  ];
  return `${parts.join('\n\n')}\n`;
}
