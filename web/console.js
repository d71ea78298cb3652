// The event console: one stream of chosen topics, shown as it comes, with everything EventSource would hide.

import { batchStreamUrl, eventsUrl } from './api.js';
import { byId, element, remember, remembered, setAttribute, setText } from './dom.js';
import { EventLog } from './event_log.js';
import { formatCount, formatRate } from './format.js';
import { EventStream } from './sse.js';

const TOPICS_MAX = 32;
const KINDS = ['channel', 'pattern', 'stream', 'batch'];
const FORMATS = ['', 'raw', 'envelope', 'named'];
const STATE_TEXT = {
  closed: 'not connected',
  connecting: 'connecting …',
  live: 'live',
  waiting: 'reconnecting …',
  ended: 'ended by the server (204)',
  failed: 'stopped',
};

export function startConsole() {
  return new EventConsole();
}

class EventConsole {
  #topics = [];
  #stream = null;
  #log = new EventLog();
  #counts = { events: 0, gaps: 0, reconnects: 0, heartbeats: 0 };
  #eventsAtTick = 0;
  #lostAt = 0;
  #announcer = byId('console-announcer');

  constructor() {
    byId('topic-form').addEventListener('submit', (event) => this.#submitTopic(event));
    byId('connect').addEventListener('click', () => this.#toggleConnection());
    byId('format').addEventListener('change', () => this.#sourceChanged());
    byId('pause').addEventListener('click', () => this.togglePause());
    byId('clear').addEventListener('click', () => this.#clear());
    byId('filter').addEventListener('input', () => this.#log.setFilter(byId('filter').value));
    addEventListener('online', () => this.#stream?.retryNow());
    setInterval(() => this.#drawRate(), 1000);
    this.#restore();
    this.#drawTopics();
    this.#drawState('closed');
  }

  /** Follows a batch's own stream: progress …, then complete. */
  watchBatch(id) {
    this.#watch({ kind: 'batch', name: id });
  }

  /** Follows the entries of a Redis Stream. */
  watchStream(name) {
    this.#watch({ kind: 'stream', name });
  }

  #watch(topic) {
    this.#topics = [topic];
    this.#sourceChanged();
    if (!this.#stream) this.#connect();
    byId('console').scrollIntoView({ block: 'nearest' });
    byId('connect').focus({ preventScroll: true });
  }

  /** A topic to begin with, for who has chosen none yet; connecting is left to them. */
  suggest(topic) {
    if (this.#topics.length > 0) return;
    this.#topics = [topic];
    this.#drawTopics();
  }

  togglePause() {
    const paused = !this.#log.isPaused;
    this.#log.setPaused(paused);
    setText(byId('pause'), paused ? 'Resume' : 'Pause');
    setAttribute(byId('pause'), 'aria-pressed', paused);
  }

  // --- what is listened to ------------------------------------------------------------------------------------------

  #submitTopic(event) {
    event.preventDefault();
    if (this.#takeTyped()) this.#sourceChanged();
  }

  /** The typed topic joins the others; a batch's stream is a URL of its own, so it stands alone. */
  #takeTyped() {
    const field = byId('topic-name');
    const kind = byId('topic-kind').value;
    const name = field.value.trim();
    if (name === '') return false;
    const others = kind === 'batch' ? [] : this.#topics.filter((topic) => topic.kind !== 'batch');
    const isKnown = others.some((topic) => topic.kind === kind && topic.name === name);
    if (!isKnown && others.length >= TOPICS_MAX) {
      this.#announce(`At most ${TOPICS_MAX} topics.`);
      return false;
    }
    this.#topics = isKnown ? others : [...others, { kind, name }];
    field.value = '';
    return true;
  }

  #removeTopic(topic) {
    this.#topics = this.#topics.filter((other) => other !== topic);
    this.#sourceChanged();
    byId('topic-name').focus();
  }

  #sourceChanged() {
    remember('console', { topics: this.#topics, format: byId('format').value });
    this.#drawTopics();
    if (!this.#stream) return;
    if (this.#topics.length > 0) this.#connect();
    else this.#disconnect();
  }

  #restore() {
    const { topics, format } = remembered('console', {});
    const isTopic = (topic) => KINDS.includes(topic?.kind) && typeof topic.name === 'string';
    if (Array.isArray(topics)) this.#topics = topics.filter(isTopic).slice(0, TOPICS_MAX);
    if (FORMATS.includes(format)) byId('format').value = format;
  }

  #drawTopics() {
    byId('topics').replaceChildren(...this.#topics.map((topic) => this.#topicNode(topic)));
    byId('format').disabled = this.#topics.some(({ kind }) => kind === 'batch');
  }

  #topicNode(topic) {
    const remove = element('button', { type: 'button', class: 'quiet icon', 'aria-label': `Remove ${topic.kind} ${topic.name}` }, '×');
    remove.addEventListener('click', () => this.#removeTopic(topic));
    return element('li', { class: 'topic' }, element('span', { class: 'topic-kind' }, topic.kind), topic.name, remove);
  }

  // --- the connection -----------------------------------------------------------------------------------------------

  #toggleConnection() {
    if (this.#stream) {
      this.#disconnect();
      return;
    }
    if (this.#takeTyped()) this.#sourceChanged();
    if (this.#topics.length > 0) {
      this.#connect();
    } else {
      this.#announce('Name a channel, a pattern, a stream or a batch first.');
      byId('topic-name').focus();
    }
  }

  #connect() {
    this.#stream?.close();
    const [first] = this.#topics;
    const url = first.kind === 'batch' ? batchStreamUrl(first.name) : eventsUrl(this.#topics, byId('format').value);
    this.#lostAt = 0;
    this.#log.addMark('note', `GET ${url}`);
    const stream = new EventStream(url, {
      onState: (state) => stream === this.#stream && this.#stateChanged(state),
      onEvent: (event) => this.#takeEvent(event),
      onComment: () => this.#beat(),
      onRetry: (milliseconds) => this.#log.addMark('note', `retry: the server asks to come back after ${milliseconds} ms when the stream is lost`),
    });
    this.#stream = stream;
    stream.open();
  }

  #disconnect() {
    const stream = this.#stream;
    this.#stream = null;
    stream?.close();
    this.#log.addMark('note', 'disconnected');
    this.#drawState('closed');
    this.#announce('Disconnected.');
  }

  #stateChanged(state) {
    const { problem, lastEventId } = this.#stream;
    if (state === 'waiting' && this.#lostAt === 0) {
      this.#lostAt = Date.now();
      this.#log.addMark('reconnect', `the stream was lost${problem ? `: ${problem}` : ''}; reconnecting`);
      this.#announce('The stream was lost; reconnecting.');
    } else if (state === 'live' && this.#lostAt > 0) {
      this.#counts.reconnects++;
      const seconds = ((Date.now() - this.#lostAt) / 1000).toFixed(1);
      this.#lostAt = 0;
      this.#log.addMark('reconnect', `reconnected after ${seconds} s, ${lastEventId ? `from id ${lastEventId}` : 'without an id: no event had come'}`);
      this.#announce('Reconnected.');
    } else if (state === 'ended' || state === 'failed') {
      this.#log.addMark(state === 'ended' ? 'note' : 'gap', state === 'ended' ? '204: the server says that there is no more' : problem);
      this.#announce(problem ?? 'The stream has ended.');
      this.#stream = null;
    }
    this.#drawState(state, problem);
    this.#drawCounts();
  }

  #takeEvent(event) {
    this.#counts.events++;
    this.#log.addEvent(event);
    if (event.name !== 'gap') return;
    this.#counts.gaps++;
    const reason = gapReason(event.data);
    this.#log.addMark('gap', `gap (${reason}): events may have been missed here`);
    this.#announce(`Gap: ${reason}.`);
  }

  /** Starts the animation of the pulse again: two equal animations that take turns. */
  #beat() {
    this.#counts.heartbeats++;
    setAttribute(byId('pulse'), 'data-beat', this.#counts.heartbeats % 2 ? 'odd' : 'even');
    setAttribute(byId('pulse'), 'title', `${this.#counts.heartbeats} heartbeats`);
  }

  #clear() {
    this.#log.clear();
    this.#counts = { events: 0, gaps: 0, reconnects: 0, heartbeats: 0 };
    this.#eventsAtTick = 0;
    this.#drawCounts();
  }

  // --- how it looks -------------------------------------------------------------------------------------------------

  #drawState(state, problem = null) {
    const node = byId('console-state');
    setAttribute(node, 'data-state', state);
    setText(node, state === 'failed' && problem ? problem : STATE_TEXT[state]);
    setText(byId('connect'), this.#stream ? 'Disconnect' : 'Connect');
  }

  #drawRate() {
    const { events } = this.#counts;
    setText(byId('count-rate'), formatRate(events - this.#eventsAtTick));
    this.#eventsAtTick = events;
    this.#drawCounts();
  }

  #drawCounts() {
    const { events, gaps, reconnects } = this.#counts;
    setText(byId('count-events'), formatCount(events));
    setText(byId('count-gaps'), formatCount(gaps));
    setText(byId('count-reconnects'), formatCount(reconnects));
    setAttribute(byId('count-gaps').parentElement, 'data-level', gaps > 0 ? 'warn' : null);
    setAttribute(byId('count-reconnects').parentElement, 'data-level', reconnects > 0 ? 'warn' : null);
  }

  #announce(text) {
    setText(this.#announcer, text);
  }
}

function gapReason(data) {
  try {
    return JSON.parse(data).reason ?? 'no reason given';
  } catch {
    return 'no reason given';
  }
}
