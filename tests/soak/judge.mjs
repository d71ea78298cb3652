// What the soak makes of its figures: whether memory and descriptors are flat, what the log may say, and the part of the document.

import { thousands } from '../support/section.mjs';

const MEBIBYTE = 2 ** 20;

/** How memory may grow from the end of the warm-up to the end of the run, by the line that fits its samples best. */
export const GROWTH_BYTES_MAX = 6 * MEBIBYTE;

/** Lines of the log that a Redis that is killed and clients that do not read bring about; everything else is a surprise. */
const EXPECTED_LINES = [
  /redis link (lost|down|is down|dropped)/i,
  /redis (is )?(away|gone|lost|unavailable|not reachable)/i,
  /cannot (connect|reach)/i,
  /connection (refused|reset|closed)/i,
  /the group had vanished and was made again/,
];

/** The line through samples of [seconds, bytes] by least squares: {slope (bytes a second), growth (over all of them)}. */
export function fit(samples) {
  const count = samples.length;
  const mean = (index) => samples.reduce((sum, sample) => sum + sample[index], 0) / count;
  const [seconds, bytes] = [mean(0), mean(1)];
  let above = 0;
  let below = 0;
  for (const [x, y] of samples) {
    above += (x - seconds) * (y - bytes);
    below += (x - seconds) ** 2;
  }
  const slope = below > 0 ? above / below : 0;
  return { slope, growth: slope * (samples.at(-1)[0] - samples[0][0]) };
}

/** Lines of warning and error that nobody expected, each kind once. */
export function surprises(log) {
  const kinds = new Map();
  for (const line of log.split('\n')) {
    if (!/ (warn|error) /.test(line) || EXPECTED_LINES.some((pattern) => pattern.test(line))) continue;
    const kind = line.replace(/^\S+ /, '').replace(/\d+/g, 'N').slice(0, 100);
    if (!kinds.has(kind)) kinds.set(kind, line);
  }
  return [...kinds.values()];
}

/** The samples behind the warm-up: the first fifth, two minutes at least, but never more than half. */
export function settled(samples) {
  const last = samples.at(-1).seconds;
  const from = Math.min(Math.max(last / 5, 120), last / 2);
  return samples.filter(({ seconds }) => seconds >= from);
}

const mebibytes = (bytes) => `${(bytes / MEBIBYTE).toFixed(1)} MiB`;

export function describe(heading, { minutes, problems, tally, samples, memory, checks, restarts, cuts, cpuSeconds }) {
  const gaps = Object.entries(tally.gaps).map(([reason, count]) => `${thousands(count)} ${reason}`).join(', ');
  const held = settled(samples);
  const rows = [
    ['time', `${minutes.toFixed(0)} min, ${cpuSeconds.toFixed(0)} s of CPU`],
    ['published', `${thousands(tally.published)} messages that Redis took, ${thousands(tally.uncertain)} that it did not, or nobody knows`],
    ['Redis', `killed ${restarts} times, connections cut ${cuts} times`],
    ['connections of clients', `${thousands(tally.connects)}, and ${thousands(tally.sleepers)} that never read`],
    ['events read and compared', `${thousands(tally.events)}; told of gaps: ${gaps || 'none'}`],
    ['lost, doubled or misplaced', `${tally.wrong}`],
    ['jobs acknowledged by a group', thousands(tally.jobs)],
    ['checks of `PUBSUB NUMSUB`, gauges and descriptors while it was quiet', `${checks}`],
    ['memory (RssAnon) behind the warm-up', `${mebibytes(Math.min(...held.map((s) => s.memory)))} to ${mebibytes(Math.max(...held.map((s) => s.memory)))}; fitted: ${(memory.slope * 60 / 1024).toFixed(1)} KiB a minute, ${mebibytes(memory.growth)} in all`],
    ['descriptors', `${Math.min(...held.map((s) => s.descriptors))} to ${Math.max(...held.map((s) => s.descriptors))}`],
    ['what did not hold', problems.length ? problems.join('; ').replaceAll('|', '\\|') : 'nothing'],
  ];
  return [`${heading}.`, '', '| | |', '|---|---|', ...rows.map(([name, value]) => `| ${name} | ${value} |`)].join('\n');
}
