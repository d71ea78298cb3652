// The chart of a run as SVG: a panel for each figure, a bar for each target. It has no background, and colours that change with the
// reader's scheme.

import { median, number } from './report.mjs';

const WIDTH = 860;
const LABEL_WIDTH = 170;
const VALUE_WIDTH = 90;
const BAR_HEIGHT = 18;
const BAR_STEP = 24;
const PANEL_HEAD = 46;
const PANEL_GAP = 18;

const PANELS = [
  { scenario: 'S1', figure: 'cpu', title: 'CPU seconds per million deliveries', note: '1,000 clients on one channel, 20 messages/s; less is better' },
  { scenario: 'S3', figure: 'bytesMany', title: 'Bytes of memory per idle client', note: 'without the kernel’s; less is better' },
  { scenario: 'S4', figure: 'deliveries', title: 'Deliveries a second, one core', note: 'a burst to 1,000 clients; more is better' },
  { scenario: 'S7', figure: 'p99', title: 'Latency beside 20 clients that never read, p99 in ms', note: '100 clients, 2,000 messages/s of 2 KB (Pushpin loses most of so many); less is better', without: ['pushpin'] },
];

const STYLE = `
    text { font: 13px system-ui, sans-serif; fill: #1f2328; }
    .title { font-weight: 600; font-size: 15px; }
    .note { fill: #59636e; font-size: 12px; }
    .bar { fill: #9aa4ae; }
    .limit { fill: #c9d1d9; }
    .own { fill: #1a7f64; }
    .own-label { font-weight: 600; }
    @media (prefers-color-scheme: dark) {
      text { fill: #e6edf3; }
      .note { fill: #9198a1; }
      .bar { fill: #6e7681; }
      .limit { fill: #3d444d; }
      .own { fill: #3fb68b; }
    }`;

const escaped = (text) => text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);

function valuesOf({ scenario, figure, without = [] }, { records, targets }) {
  return targets
    .filter(({ name }) => !without.includes(name))
    .map(({ name, title }) => ({
      name,
      title,
      value: median(records.filter((record) => record.scenario === scenario && record.target === name).map(({ figures }) => figures[figure])),
    }))
    .filter(({ value }) => Number.isFinite(value));
}

function panel(description, values, top) {
  const most = Math.max(...values.map(({ value }) => value));
  const room = WIDTH - LABEL_WIDTH - VALUE_WIDTH;
  const rows = values.map(({ name, title, value }, i) => {
    const y = top + PANEL_HEAD + i * BAR_STEP;
    const width = Math.max(2, (value / most) * room);
    const kind = name === 'sluice' ? 'own' : ['limit', 'coalesced'].includes(name) ? 'limit' : 'bar';
    const label = name === 'sluice' ? ' class="own-label"' : '';
    return `  <text${label} x="${LABEL_WIDTH - 10}" y="${y + 14}" text-anchor="end">${escaped(title)}</text>
  <rect class="${kind}" x="${LABEL_WIDTH}" y="${y}" width="${width.toFixed(1)}" height="${BAR_HEIGHT}" rx="2"/>
  <text${label} x="${(LABEL_WIDTH + width + 8).toFixed(1)}" y="${y + 14}">${number(value)}</text>`;
  });
  return `  <text class="title" x="0" y="${top + 16}">${escaped(description.title)}</text>
  <text class="note" x="0" y="${top + 34}">${escaped(description.note)}</text>
${rows.join('\n')}`;
}

/** The chart; undefined when the run has none of its figures. */
export function chart(result) {
  let top = 0;
  const panels = [];
  for (const description of PANELS) {
    const values = valuesOf(description, result);
    if (values.length === 0) continue;
    panels.push(panel(description, values, top));
    top += PANEL_HEAD + values.length * BAR_STEP + PANEL_GAP;
  }
  if (panels.length === 0) return undefined;
  const names = result.targets.map(({ title }) => title).join(', ');
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${top}" width="${WIDTH}" height="${top}" role="img" aria-label="Benchmark of ${escaped(names)}">
  <style>${STYLE}
  </style>
${panels.join('\n')}
</svg>
`;
}
