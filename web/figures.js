// The gateway's own figures: GET metrics as JSON every 2 s while somebody looks. Rates are differences between two answers.

import { Problem, readMetrics } from './api.js';
import { byId, element, setAttribute, setText } from './dom.js';
import { formatBytes, formatCount, formatDuration, formatMilliseconds, formatPercent, formatRate, NOTHING } from './format.js';
import { Sparkline } from './sparkline.js';

const POLL_MS = 2000;

/**
 * Each tile: label, what it is (for the tooltip), `value` and `note` as text, `spark` as a number, `level` for its colour. They
 * are given the answer and rate(read): the growth of a counter per second, null for the first answer and after a restart.
 */
const TILES = [
  {
    label: 'Clients',
    help: 'Open event streams',
    value: ({ sse }) => formatCount(sse.clients),
    note: ({ redis }) => `${formatCount(redis.subscriptions)} subscriptions`,
    spark: ({ sse }) => sse.clients,
  },
  {
    label: 'Events',
    help: 'Events handed to clients: one message to ten clients counts ten',
    value: (_, rate) => `${formatRate(rate((answer) => answer.sse.sseEventCount))} /s`,
    note: ({ sse }) => `${formatCount(sse.sseEventCount)} sent`,
    spark: (_, rate) => rate((answer) => answer.sse.sseEventCount),
  },
  {
    label: 'Bytes',
    help: 'Bytes handed to the kernel for clients',
    value: (_, rate) => `${formatBytes(rate((answer) => answer.sse.sseBytes) ?? NaN)} /s`,
    note: ({ sse }) => `${formatBytes(sse.sseBytes)} sent`,
    spark: (_, rate) => rate((answer) => answer.sse.sseBytes),
  },
  {
    label: 'Latency p99',
    help: 'From the message read from Redis to the last byte handed to the kernel for its last client; since the start',
    value: ({ sse }) => (sse.sseEventCount > 0 ? formatMilliseconds(sse.sseP99LatencyMs) : NOTHING),
    note: ({ sse }) => (sse.sseEventCount > 0 ? `p50 ${formatMilliseconds(sse.sseP50LatencyMs)}` : 'no event yet'),
    spark: ({ sse }) => (sse.sseEventCount > 0 ? sse.sseP99LatencyMs : null),
  },
  {
    label: 'Published',
    help: 'Events accepted by Redis from POST events/publish and PUT batches',
    value: (_, rate) => `${formatRate(rate((answer) => answer.publish.published))} /s`,
    note: ({ publish }) => `${formatCount(publish.published)} · ${formatCount(publish.failed)} failed`,
    spark: (_, rate) => rate((answer) => answer.publish.published),
    level: (_, rate) => (rate((answer) => answer.publish.failed) > 0 ? 'bad' : null),
  },
  {
    label: 'Redis',
    help: 'The gateway’s connections to Redis; the line is what it reads from there',
    value: ({ redis }) => (redis.up ? 'up' : 'down'),
    note: ({ redis }) => plural(redis.reconnects, 'reconnect'),
    spark: (_, rate) => rate((answer) => answer.redis.pubSubEvents),
    level: ({ redis }) => (redis.up ? 'ok' : 'bad'),
  },
  {
    label: 'Cache hits',
    help: 'Snapshots answered without asking Redis',
    value: ({ redis }) => (redis.cacheTotal > 0 ? formatPercent(redis.cacheHitRatio) : NOTHING),
    note: ({ redis }) => `${formatCount(redis.cacheHits)} of ${formatCount(redis.cacheTotal)}`,
    spark: ({ redis }) => (redis.cacheTotal > 0 ? redis.cacheHitRatio : null),
  },
  {
    label: 'Gaps',
    help: 'Times a client was told that it may have missed something',
    value: ({ sse }) => formatCount(total(sse.gaps)),
    note: ({ sse }) => mostFrequent(sse.gaps),
    spark: (_, rate) => rate((answer) => total(answer.sse.gaps)),
    level: (_, rate) => (rate((answer) => total(answer.sse.gaps)) > 0 ? 'warn' : null),
  },
  {
    label: 'Slow clients',
    help: 'Clients that did not read fast enough, and what was done about it',
    value: ({ sse }) => formatCount(total(sse.slowClients)),
    note: ({ sse }) => (total(sse.slowClients) > 0 ? mostFrequent(sse.slowClients) : `${formatBytes(sse.backlogBytes)} waiting`),
    spark: ({ sse }) => sse.backlogBytes,
    level: (_, rate) => (rate((answer) => total(answer.sse.slowClients)) > 0 ? 'warn' : null),
  },
  {
    label: 'Refused',
    help: 'Requests and streams without a credential, a grant, or an answer of those who decide; all of them are in the log',
    value: ({ access }) => formatCount(total(access.refused)),
    note: ({ access }) => (total(access.refused) > 0 ? mostFrequent(access.refused) : `${formatCount(access.ticketsTaken)} tickets taken`),
    spark: (_, rate) => rate((answer) => total(answer.access.refused)),
    level: (_, rate) => (rate((answer) => answer.access.refused.undecided) > 0 ? 'bad' : null),
  },
  {
    label: 'Process',
    help: 'Resident memory, open descriptors and threads of the gateway; the line is its CPU time',
    value: ({ process }) => formatBytes(process.residentBytes),
    note: ({ process, workers }, rate) =>
      `${formatPercent(rate((answer) => answer.process.cpuSeconds) ?? NaN)} CPU · ${formatCount(process.openFds)} fds · ${formatCount(workers)} threads`,
    spark: (_, rate) => rate((answer) => answer.process.cpuSeconds),
    level: (_, rate) => (rate((answer) => answer.workerLosses) > 0 ? 'bad' : null),
  },
];

/** onAnswer(answer): what the gateway said, for the other sections; undefined when it did not answer. */
export function startFigures({ onAnswer }) {
  const tiles = TILES.map((definition) => new Tile(definition));
  byId('figures').append(...tiles.map((tile) => tile.node));
  let before = null;
  let timer = 0;

  async function poll() {
    clearTimeout(timer);
    if (document.hidden) return;
    try {
      const now = { answer: await readMetrics(), at: performance.now() };
      const rate = rateBetween(before, now);
      for (const tile of tiles) tile.draw(now.answer, rate);
      drawHealth(now.answer);
      onAnswer(now.answer);
      before = now;
    } catch (error) {
      before = null;
      for (const tile of tiles) tile.drawUnknown();
      drawUnreachable(error);
      onAnswer(undefined);
    }
    clearTimeout(timer);
    timer = setTimeout(poll, POLL_MS);
  }

  document.addEventListener('visibilitychange', poll);
  poll();
}

class Tile {
  #definition;
  #value = element('span', { class: 'figure-value' }, NOTHING);
  #note = element('span', { class: 'figure-note' }, '\u00a0');
  #spark = new Sparkline();
  node;

  constructor(definition) {
    this.#definition = definition;
    const label = element('dt', {}, definition.label);
    this.node = element('div', { class: 'figure', title: definition.help }, label, element('dd', {}, this.#value, this.#note, this.#spark.node));
  }

  draw(answer, rate) {
    const { value, note, spark, level } = this.#definition;
    setText(this.#value, value(answer, rate));
    setText(this.#note, note(answer, rate));
    this.#spark.push(spark(answer, rate));
    setAttribute(this.node, 'data-level', level?.(answer, rate) ?? null);
  }

  drawUnknown() {
    setText(this.#value, NOTHING);
    setText(this.#note, '\u00a0');
    this.#spark.push(null);
    setAttribute(this.node, 'data-level', null);
  }
}

function rateBetween(before, now) {
  return (read) => {
    if (before === null) return null;
    const growth = read(now.answer) - read(before.answer);
    return growth >= 0 ? (growth * 1000) / (now.at - before.at) : null; // a counter that fell: the gateway was restarted
  };
}

function drawHealth({ redis, draining, version, uptimeSeconds }) {
  if (draining) setHealth('warn', 'draining');
  else if (!redis.up) setHealth('bad', 'Redis down');
  else setHealth('ok', 'ready');
  setText(byId('version'), version);
  setText(byId('uptime'), ` · up ${formatDuration(uptimeSeconds)}`);
}

function drawUnreachable(error) {
  if (error instanceof Problem && (error.status === 401 || error.status === 403)) setHealth('warn', 'figures need access');
  else if (error instanceof Problem) setHealth('bad', `answers ${error.status}`);
  else setHealth('bad', 'unreachable');
  setText(byId('uptime'), '');
}

function setHealth(level, text) {
  setAttribute(byId('health'), 'data-level', level);
  setText(byId('health-text'), text);
}

function total(counts) {
  return Object.values(counts).reduce((sum, count) => sum + count, 0);
}

function mostFrequent(counts) {
  const [name, count] = Object.entries(counts).sort((a, b) => b[1] - a[1])[0] ?? ['', 0];
  return count > 0 ? `${formatCount(count)} ${name}` : 'none';
}

function plural(count, noun) {
  return `${formatCount(count)} ${noun}${count === 1 ? '' : 's'}`;
}
