// The console's list of events: at most 500 rows, drawn once per frame however fast events come, with the JSON of an event laid out
// only when its row is opened.

import { byId, element, oncePerFrame, setText } from './dom.js';
import { formatBytes, formatClock, formatCount } from './format.js';

const ROWS_MAX = 500;
const PREVIEW_LENGTH = 400;
const KEPT_LENGTH = 64 * 1024; // characters of one event's data: 500 rows of a megabyte each would be too much for a tab
const FOLLOW_DISTANCE_PX = 24;

export class EventLog {
  #rows = []; // {event | mark, time}, oldest first: what a filter chooses from
  #undrawn = []; // the newest of them that are not on the page yet
  #list = byId('log');
  #filter = '';
  #paused = false;
  #missedWhilePaused = 0;
  #draw = oncePerFrame(() => this.#drawNew());

  constructor() {
    this.#list.addEventListener('keydown', (event) => this.#moveFocus(event));
    this.#list.addEventListener('toggle', (event) => layOut(event.target), true); // toggle does not bubble
    this.#list.addEventListener('scroll', () => this.#drawFollowing(), { passive: true });
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
    const isFollowing = this.#isAtEnd();
    const fresh = this.#undrawn.slice(-ROWS_MAX).filter((row) => this.#matches(row));
    this.#undrawn = [];
    if (fresh.length > 0) {
      const surplus = this.#list.childElementCount + fresh.length - ROWS_MAX;
      for (let count = 0; count < surplus && this.#list.firstChild; count++) this.#list.firstChild.remove();
      this.#list.append(...fresh.map(rowNode));
      if (isFollowing) this.#scrollToEnd();
      this.#keepOneTabStop();
    }
    byId('log-empty').hidden = this.#list.childElementCount > 0;
    this.#drawFollowing();
  }

  #matches(row) {
    if (this.#filter === '') return true;
    const text = row.mark ? row.text : `${row.id}\n${row.name}\n${row.data}`;
    return text.toLowerCase().includes(this.#filter);
  }

  #isAtEnd() {
    const { scrollHeight, scrollTop, clientHeight } = this.#list;
    return scrollHeight - scrollTop - clientHeight < FOLLOW_DISTANCE_PX;
  }

  #scrollToEnd() {
    this.#list.scrollTop = this.#list.scrollHeight;
  }

  #drawFollowing() {
    byId('log-latest').hidden = this.#isAtEnd();
  }

  /** The list is one stop of the tab key; arrows move between its rows. */
  #keepOneTabStop() {
    if (this.#list.querySelector('summary[tabindex="0"]')) return;
    this.#list.querySelector('summary')?.setAttribute('tabindex', '0');
  }

  #moveFocus(event) {
    const current = event.target.closest('summary');
    if (!current || event.altKey || event.ctrlKey || event.metaKey) return;
    const all = [...this.#list.querySelectorAll('summary')];
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

function rowNode(row) {
  const time = element('time', {}, formatClock(row.time));
  if (row.mark) return element('li', { class: 'mark', 'data-kind': row.mark }, time, element('span', {}, row.text));
  const summary = element(
    'summary',
    { tabindex: -1 },
    time,
    element('span', { class: 'event-id', title: row.id }, row.id || '–'),
    element('span', { class: 'event-name' }, row.name),
    element('span', { class: 'event-data' }, row.data.slice(0, PREVIEW_LENGTH)),
  );
  const details = element('details', {}, summary);
  details.row = row;
  return element('li', { 'data-event': row.name }, details);
}

/** On the first opening of a row: its JSON, indented. */
function layOut(details) {
  const { row } = details;
  if (!details.open || !row || details.children.length > 1) return;
  const isWhole = row.data.length === row.length;
  const size = formatBytes(new TextEncoder().encode(row.data).length);
  const note = isWhole ? size : `The first ${size}; the event has ${formatCount(row.length)} characters.`;
  details.append(
    element('div', { class: 'event-whole' }, element('p', {}, `id ${row.id || 'none'} · event ${row.name} · ${note}`), element('pre', {}, indented(row.data))),
  );
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
