// The configured Redis Streams and their consumer groups: a row each, from the same answer as the figures.

import { byId, element, setAttribute, setText } from './dom.js';
import { formatBytes, formatCount, formatDuration, NOTHING } from './format.js';

const UNKNOWN = '?';

/** What stands in a group's row; the limits are those of deploy/prometheus/sluice.rules.yml. */
const COLUMNS = [
  { text: ({ group }) => group?.name ?? NOTHING },
  { text: ({ group }) => count(group?.consumerCount), level: ({ group }) => (group?.consumerCount === 0 ? 'bad' : null) },
  { text: ({ group }) => count(group?.pending), level: ({ group }) => (group?.pending > 100 ? 'warn' : null) },
  {
    text: ({ group }) => (group?.oldestPendingSeconds == null ? NOTHING : formatDuration(group.oldestPendingSeconds)),
    level: ({ group }) => (group?.oldestPendingSeconds > 300 ? 'warn' : null),
  },
  { text: ({ group }) => (group?.lag === null ? UNKNOWN : count(group?.lag)), level: ({ group }) => (group?.lag > 1000 ? 'warn' : null) },
];

/** onWatch(name): somebody wants to see a stream's entries. */
export function startStreams({ onWatch }) {
  return new StreamsView(onWatch);
}

class StreamsView {
  #onWatch;
  #shape = '';
  #rows = [];

  constructor(onWatch) {
    this.#onWatch = onWatch;
  }

  /** `streams` as in the metrics; undefined when the gateway does not answer: what was there stays, dimmed. */
  draw(streams) {
    setAttribute(byId('streams'), 'data-stale', streams === undefined ? '' : null);
    if (streams === undefined) return;
    byId('streams').hidden = streams.length === 0;
    const facts = streams.flatMap((stream) => rowsOf(stream));
    const shape = JSON.stringify(facts.map(({ stream, group }) => [stream.name, group?.name]));
    if (shape !== this.#shape) this.#build(facts);
    this.#shape = shape;
    facts.forEach((fact, index) => this.#rows[index].draw(fact));
  }

  /** Rows are made anew only when streams or groups come and go, so that focus and selection stay. */
  #build(facts) {
    this.#rows = facts.map((fact) => new Row(fact, this.#onWatch));
    byId('stream-rows').replaceChildren(...this.#rows.map((row) => row.node));
  }
}

function rowsOf(stream) {
  const groups = stream.groups ?? [];
  if (groups.length === 0) return [{ stream, isFirst: true }];
  return groups.map((group, index) => ({ stream, group, isFirst: index === 0 }));
}

class Row {
  #length = element('td', { class: 'number' });
  #bytes = element('td', { class: 'number' });
  #cells = COLUMNS.map((_, index) => element('td', { class: index > 0 ? 'number' : null }));
  #button = null;
  node;

  constructor({ stream, isFirst }, onWatch) {
    if (isFirst) {
      this.#button = element('button', { type: 'button', class: 'quiet', 'aria-label': `Entries of ${stream.name}` }, 'Entries');
      this.#button.addEventListener('click', () => onWatch(stream.name));
    }
    const name = element('th', { scope: 'row' }, isFirst ? stream.name : element('span', { class: 'visually-hidden' }, stream.name));
    this.node = element('tr', { 'data-stream': stream.name }, name, this.#length, this.#bytes, ...this.#cells, element('td', {}, this.#button));
  }

  draw(fact) {
    const { stream, isFirst } = fact;
    setText(this.#length, isFirst ? (stream.problem ?? (stream.exists === false ? 'not there' : formatCount(stream.length))) : '');
    setText(this.#bytes, isFirst && stream.bytes ? formatBytes(stream.bytes) : '');
    setAttribute(this.#length, 'data-level', isFirst && (stream.problem || stream.exists === false) ? 'warn' : null);
    COLUMNS.forEach(({ text, level }, index) => {
      setText(this.#cells[index], text(fact));
      setAttribute(this.#cells[index], 'data-level', level?.(fact) ?? null);
    });
  }
}

function count(value) {
  return value === undefined ? NOTHING : formatCount(value);
}
