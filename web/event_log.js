// The console's list of events: at most 500 rows, drawn some times a second however fast events come, with the JSON of an event laid out
// only when its row is opened. A row is one line of text with its columns padded: a grid of clipped cells, or <details>, costs
// several times as much to lay out.

import { byId, element, oncePerFrame, setText } from './dom.js';
import { formatBytes, formatClock, formatCount, NOTHING } from './format.js';

const ROWS_MAX = 500;
const PREVIEW_LENGTH = 240;
const KEPT_LENGTH = 64 * 1024; // characters of one event's data: 500 rows of a megabyte each would be too much for a tab
const DRAW_SPACING_MS = 80; // each drawing paints what is in sight anew: twelve a second look live, sixty would cost five times as much
const FOLLOW_DISTANCE_PX = 24;
const ID_WIDTH = 14;
const NAME_WIDTH = 12;

export class EventLog {
  #rows = []; // {event | mark, time}, oldest first: what a filter chooses from
  #undrawn = []; // the newest of them that are not on the page yet
  #list = byId('log');
  #filter = '';
  #paused = false;
  #missedWhilePaused = 0;
  #isFollowing = true;
  #draw = oncePerFrame(() => this.#drawNew(), DRAW_SPACING_MS);

  constructor() {
    this.#list.addEventListener('keydown', (event) => this.#takeKey(event));
    this.#list.addEventListener('click', (event) => {
      const row = event.target.closest('.event-line');
      if (row && getSelection().isCollapsed) this.#toggle(row); // selecting text is no click
    });
    this.#list.addEventListener('scroll', () => this.#scrolled(), { passive: true });
    byId('log-latest').addEventListener('click', () => this.#scrollToEnd());
  }

  addEvent({ id, name, data }) {
    const kept = data.length > KEPT_LENGTH ? detached(data.slice(0, KEPT_LENGTH)) : data;
    this.#add({ time: Date.now(), id, name, data: kept, length: data.length });
  }

  /** A line of the console's own: `kind` is gap, reconnect or note. */
  addMark(kind, text) {
    this.#add({ time: Date.now(), mark: kind, text });
  }

  get isPaused() {
    return this.#paused;
  }

  /** While paused the rows stand still; what comes is kept, as far as 500 rows reach, and shown afterwards. */
  setPaused(paused) {
    this.#paused = paused;
    this.#missedWhilePaused = 0;
    this.#draw();
  }

  setFilter(text) {
    this.#filter = text.trim().toLowerCase();
    this.#redraw();
  }

  clear() {
    this.#rows = [];
    this.#missedWhilePaused = 0;
    this.#redraw();
  }

  #add(row) {
    this.#rows.push(row);
    this.#undrawn.push(row);
    // Trimmed in steps: a background tab draws nothing, and shifting an array for each event would be slow.
    if (this.#rows.length >= 2 * ROWS_MAX) this.#rows = this.#rows.slice(-ROWS_MAX);
    if (this.#undrawn.length >= 2 * ROWS_MAX) this.#undrawn = this.#undrawn.slice(-ROWS_MAX);
    if (this.#paused && !row.mark) this.#missedWhilePaused++;
    this.#draw();
  }

  #redraw() {
    this.#list.replaceChildren();
    this.#undrawn = this.#rows.slice(-ROWS_MAX);
    const wasPaused = this.#paused;
    this.#paused = false;
    this.#drawNew();
    this.#paused = wasPaused;
    this.#scrollToEnd();
  }

  #drawNew() {
    setText(byId('log-paused'), this.#missedWhilePaused > 0 ? `${formatCount(this.#missedWhilePaused)} more since the pause` : '');
    if (this.#paused) return;
    const fresh = this.#undrawn.slice(-ROWS_MAX).filter((row) => this.#matches(row));
    this.#undrawn = [];
    if (fresh.length > 0) {
      const surplus = this.#list.childElementCount + fresh.length - ROWS_MAX;
      for (let count = 0; count < surplus && this.#list.firstChild; count++) this.#list.firstChild.remove();
      this.#list.append(...fresh.map((row) => (row.mark ? markNode(row) : eventNode(row))));
      this.#keepOneTabStop();
      if (this.#isFollowing) this.#scrollToEnd();
    }
    byId('log-empty').hidden = this.#list.childElementCount > 0;
  }

  #matches(row) {
    if (this.#filter === '') return true;
    const text = row.mark ? row.text : `${row.id}\n${row.name}\n${row.data}`;
    return text.toLowerCase().includes(this.#filter);
  }

  #scrollToEnd() {
    this.#list.scrollTop = this.#list.scrollHeight;
  }

  /** Who scrolls up wants to read, and is not pulled down by what comes. */
  #scrolled() {
    const { scrollHeight, scrollTop, clientHeight } = this.#list;
    this.#isFollowing = scrollHeight - scrollTop - clientHeight < FOLLOW_DISTANCE_PX;
    byId('log-latest').hidden = this.#isFollowing;
  }

  /** Opens a row, its JSON indented below it, and lets the list stand still for reading; or closes it. */
  #toggle(line) {
    const isOpen = line.getAttribute('aria-expanded') === 'true';
    line.setAttribute('aria-expanded', String(!isOpen));
    if (isOpen) {
      line.nextSibling.remove();
      return;
    }
    line.after(wholeNode(line.shownEvent));
    line.parentElement.scrollIntoView({ block: 'nearest' });
    this.#isFollowing = false;
    byId('log-latest').hidden = false;
  }

  /** The list is one stop of the tab key; arrows move between its rows. */
  #keepOneTabStop() {
    if (this.#list.querySelector('.event-line[tabindex="0"]')) return;
    this.#list.querySelector('.event-line')?.setAttribute('tabindex', '0');
  }

  #takeKey(event) {
    const current = event.target.closest('.event-line');
    if (!current || event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.key === 'Enter' || event.key === ' ') {
      event.preventDefault();
      this.#toggle(current);
      return;
    }
    const all = [...this.#list.querySelectorAll('.event-line')];
    const place = all.indexOf(current);
    const target = { ArrowDown: place + 1, ArrowUp: place - 1, Home: 0, End: all.length - 1 }[event.key];
    if (target === undefined) return;
    event.preventDefault();
    const next = all[Math.min(Math.max(target, 0), all.length - 1)];
    current.setAttribute('tabindex', '-1');
    next.setAttribute('tabindex', '0');
    next.focus();
  }
}

const span = (name) => element('span', { class: name }, ' ');
const EVENT_TEMPLATE = element(
  'li',
  {},
  element(
    'div',
    { class: 'event-line', role: 'button', tabindex: -1, 'aria-expanded': 'false' },
    ...['event-time', 'event-id', 'event-name', 'event-data'].map(span),
  ),
);

function eventNode(row) {
  const node = EVENT_TEMPLATE.cloneNode(true);
  const line = node.firstChild;
  const [time, id, name, data] = line.childNodes;
  node.dataset.event = row.name;
  line.shownEvent = row;
  time.firstChild.data = `${formatClock(row.time)}  `;
  id.firstChild.data = column(shortId(row.id), ID_WIDTH);
  id.title = row.id;
  name.firstChild.data = column(row.name, NAME_WIDTH);
  data.firstChild.data = row.data.slice(0, PREVIEW_LENGTH);
  return node;
}

function markNode(row) {
  const time = element('span', { class: 'event-time' }, `${formatClock(row.time)}  `);
  return element('li', { class: 'mark', 'data-kind': row.mark }, time, row.text);
}

/** Padded to the column's width, and cut where it is longer. */
function column(text, width) {
  return `${text.length > width ? `${text.slice(0, width - 1)}…` : text.padEnd(width)}  `;
}

/** 5f3a9c2e81b04d17-1284 → 5f3a…1284: the epoch is the same for most rows; the whole id is in the tooltip and the opened row. */
function shortId(id) {
  if (id === '') return NOTHING;
  const [, epoch, sequence] = id.match(/^([0-9a-f]{4})[0-9a-f]{12}-(.+)$/) ?? [];
  return epoch ? `${epoch}…${sequence}` : id;
}

function wholeNode({ id, name, data, length }) {
  const size = formatBytes(new TextEncoder().encode(data).length);
  const note = data.length === length ? size : `The first ${size}; the event has ${formatCount(length)} characters.`;
  const facts = element('p', {}, `id ${id || 'none'} · event ${name} · ${note}`);
  return element('div', { class: 'event-whole' }, facts, element('pre', {}, indented(data)));
}

function indented(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

/** A slice keeps the whole text it was cut from in memory; a copy does not. */
function detached(text) {
  return new TextDecoder().decode(new TextEncoder().encode(text));
}
