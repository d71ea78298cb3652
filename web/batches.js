// The batch cards: which batches are followed, and how each looks. What is known of them comes from batch_feed.js.

import { readBatch } from './api.js';
import { BATCHES_MAX, BatchFeed } from './batch_feed.js';
import { byId, element, oncePerFrame, remember, remembered, setAttribute, setText } from './dom.js';
import { formatAgo, formatClock, formatCount } from './format.js';

const DEMO_BATCHES = ['demo-1', 'demo-2', 'demo-3', 'demo-4'];
const DEMO_SECOND_LOOK_MS = 2500;
const COUNTS_SHOWN = 6;
const CONNECTION_TEXT = {
  closed: 'not connected',
  connecting: 'connecting',
  live: 'live',
  waiting: 'reconnecting',
  ended: 'ended',
  failed: 'stopped',
};

/** onWatch(id): somebody wants to see a batch's own stream; onDemo(): this is `sluice serve --dev`, seen for the first time. */
export function startBatches({ onWatch, onDemo }) {
  const view = new BatchesView(onWatch, onDemo);
  view.start();
}

class BatchesView {
  #onWatch;
  #onDemo;
  #cards = new Map();
  #changed = new Map();
  #connection = 'connecting';
  #problem = null;
  #announcer = byId('batch-announcer');
  #draw = oncePerFrame(() => this.#drawChanged());
  #feed = new BatchFeed({
    onChange: (batch) => this.#batchChanged(batch),
    onConnection: (state, problem) => this.#connectionChanged(state, problem),
  });

  constructor(onWatch, onDemo) {
    this.#onWatch = onWatch;
    this.#onDemo = onDemo;
  }

  start() {
    byId('batch-form').addEventListener('submit', (event) => this.#addFromForm(event));
    addEventListener('hashchange', () => {
      const ids = idsFromHash();
      if (ids.length > 0) this.#follow(ids); // other fragments, like the skip link's, say nothing of batches
    });
    setInterval(() => this.#drawAges(), 1000);
    const ids = idsFromHash();
    const chosen = ids.length > 0 ? ids : remembered('batches', null);
    this.#follow(Array.isArray(chosen) ? chosen.filter((id) => typeof id === 'string') : []);
    if (chosen === null) this.#lookForDemo();
  }

  /** `sluice serve --dev` has batches that move, from its second second on; elsewhere the page starts empty. */
  async #lookForDemo(looksLeft = 2) {
    const first = await readBatch(DEMO_BATCHES[0]).catch(() => undefined);
    if (this.#cards.size > 0) return; // somebody was faster
    if (first !== undefined) {
      this.#onDemo();
      this.#follow(DEMO_BATCHES);
    } else if (looksLeft > 1) {
      setTimeout(() => this.#lookForDemo(looksLeft - 1), DEMO_SECOND_LOOK_MS);
    }
  }

  #follow(ids) {
    const wanted = [...new Set(ids)].slice(0, BATCHES_MAX);
    for (const [id, card] of this.#cards) {
      if (!wanted.includes(id)) {
        card.remove();
        this.#cards.delete(id);
      }
    }
    for (const id of wanted) {
      if (!this.#cards.has(id)) this.#cards.set(id, this.#newCard(id));
    }
    byId('batch-cards').append(...wanted.map((id) => this.#cards.get(id).node));
    byId('batch-empty').hidden = wanted.length > 0;
    this.#feed.follow(wanted);
    this.#drawAges();
  }

  #newCard(id) {
    return new BatchCard(id, {
      onRemove: () => this.#remove(id),
      onWatch: () => this.#onWatch(id),
    });
  }

  #addFromForm(event) {
    event.preventDefault();
    const field = byId('batch-id');
    const id = field.value.trim().replace(/^batch:/, '');
    if (id === '') return;
    if (!this.#cards.has(id) && this.#cards.size >= BATCHES_MAX) {
      this.#announce(`At most ${BATCHES_MAX} batches can be followed at once.`);
      return;
    }
    field.value = '';
    this.#choose([...this.#cards.keys(), id]);
    this.#announce(`Following ${id}.`);
  }

  #remove(id) {
    const ids = [...this.#cards.keys()];
    const next = ids[ids.indexOf(id) + 1] ?? ids[ids.indexOf(id) - 1];
    this.#choose(ids.filter((other) => other !== id));
    const card = this.#cards.get(next);
    (card?.removeButton ?? byId('batch-id')).focus(); // the focus must not fall to the top of the page
    this.#announce(`${id} is not followed any more.`);
  }

  /** What the user chose is remembered, and in the address, so that it can be sent to somebody. */
  #choose(ids) {
    const unique = [...new Set(ids)];
    remember('batches', unique);
    const hash = new URLSearchParams(unique.map((id) => ['batch', id])).toString();
    history.replaceState(null, '', hash ? `#${hash}` : location.pathname + location.search);
    this.#follow(unique);
  }

  #batchChanged(batch) {
    const card = this.#cards.get(batch.id);
    if (!card) return;
    if (batch.state?.isTerminal && card.wasMoving) this.#announce(`${batch.id}: ${batch.state.status.toLowerCase()}.`);
    card.wasMoving = batch.state !== null && !batch.state.isTerminal;
    this.#changed.set(batch.id, batch);
    this.#draw();
  }

  #connectionChanged(state, problem) {
    this.#connection = state;
    this.#problem = problem;
    this.#drawAges();
  }

  #drawChanged() {
    for (const batch of this.#changed.values()) this.#cards.get(batch.id)?.draw(batch);
    this.#changed.clear();
    this.#drawAges();
  }

  #drawAges() {
    const now = Date.now();
    for (const card of this.#cards.values()) card.drawConnection(this.#connection, now);
    const note = byId('batch-problem');
    note.hidden = !this.#problem || this.#cards.size === 0;
    setText(note, this.#problem ?? '');
  }

  #announce(text) {
    setText(this.#announcer, text);
  }
}

class BatchCard {
  #batch = null;
  #parts;
  wasMoving = false;
  removeButton;
  node;

  constructor(id, { onRemove, onWatch }) {
    const titleId = `batch-${encodeURIComponent(id)}`;
    const remove = element('button', { type: 'button', class: 'quiet icon', 'aria-label': `Stop following ${id}`, title: 'Stop following' }, '×');
    const watch = element('button', { type: 'button', class: 'quiet', title: `Watch ${id} in the console` }, 'Events');
    watch.setAttribute('aria-label', `Watch ${id} in the console`);
    remove.addEventListener('click', onRemove);
    watch.addEventListener('click', onWatch);
    const parts = {
      name: element('span', { class: 'card-name' }),
      status: element('span', { class: 'badge' }, '…'),
      bar: element('div', { class: 'bar', role: 'progressbar', 'aria-labelledby': titleId, 'aria-valuemin': 0, 'aria-valuemax': 100 }, element('span')),
      percent: element('span', { class: 'percent', 'aria-hidden': 'true' }),
      message: element('p', { class: 'message' }),
      counts: element('dl', { class: 'counts' }),
      connection: element('span', { class: 'connection' }),
      gaps: element('span', { class: 'badge gap', hidden: true }),
      age: element('time', { class: 'age' }),
    };
    this.#parts = parts;
    this.removeButton = remove;
    this.node = element(
      'li',
      { class: 'card', 'data-batch': id },
      element('div', { class: 'card-head' }, element('h3', { id: titleId, title: id }, id), parts.name, parts.status, remove),
      element('div', { class: 'card-progress' }, parts.bar, parts.percent),
      parts.message,
      parts.counts,
      element('div', { class: 'card-foot' }, parts.connection, parts.gaps, parts.age, watch),
    );
  }

  remove() {
    this.node.remove();
  }

  draw(batch) {
    this.#batch = batch;
    const { state } = batch;
    const { name, status, bar, percent, message, gaps } = this.#parts;
    setAttribute(this.node, 'data-status', (state?.status ?? '').toLowerCase());
    setText(name, state?.name ?? '');
    setText(status, state?.status || (state ? 'no status' : 'no snapshot'));
    const known = state?.percent ?? null;
    bar.classList.toggle('jump', (known ?? 0) < Number(bar.getAttribute('aria-valuenow'))); // a new run does not slide back
    bar.firstElementChild.style.transform = `scaleX(${(known ?? 0) / 100})`;
    setAttribute(bar, 'aria-valuenow', known === null ? null : Math.round(known));
    setAttribute(bar, 'aria-valuetext', known === null ? 'unknown' : `${Math.round(known)} %`);
    setText(percent, known === null ? '' : `${known < 100 ? Math.min(Math.round(known), 99) : 100} %`);
    setText(message, batch.problem ?? (state ? state.message : 'Nothing is known of this batch yet; the first event will show.'));
    setAttribute(message, 'title', message.textContent || null);
    this.#drawCounts(state?.counts ?? []);
    gaps.hidden = batch.gaps === 0;
    setText(gaps, batch.gaps === 1 ? '1 gap' : `${batch.gaps} gaps`);
    if (batch.lastGap) setAttribute(gaps, 'title', `Last gap: ${batch.lastGap.reason}, ${formatClock(batch.lastGap.at)}; the snapshot was read again`);
  }

  #drawCounts(counts) {
    const { counts: list } = this.#parts;
    const shown = counts.slice(0, COUNTS_SHOWN);
    const names = shown.map(([name]) => name).join('\n');
    if (list.dataset.names !== names) {
      list.dataset.names = names;
      list.replaceChildren(...shown.map(([name]) => element('div', {}, element('dt', {}, name), element('dd'))));
    }
    shown.forEach(([, value], index) => setText(list.children[index].lastChild, formatCount(value)));
  }

  drawConnection(connection, now) {
    const { connection: node, age } = this.#parts;
    const isComplete = connection === 'live' && this.#batch?.state?.isTerminal;
    setText(node, isComplete ? 'complete' : CONNECTION_TEXT[connection]);
    setAttribute(node, 'data-state', isComplete ? 'complete' : connection);
    const at = this.#batch?.lastEventAt;
    setText(age, at ? formatAgo(now - at) : 'no event yet');
    if (at) {
      setAttribute(age, 'datetime', new Date(at).toISOString());
      setAttribute(age, 'title', `Last event ${formatClock(at)}`);
    }
  }
}

/** #batch=a&batch=b */
function idsFromHash() {
  return new URLSearchParams(location.hash.slice(1)).getAll('batch').filter((id) => id !== '');
}
