// The state of every followed batch, over one connection however many there are: browsers give an origin only six (HTTP/1.1),
// shared by all its tabs. So one stream carries all channels batch:<id>, and snapshots come by GET:
//
//   stream live ──▶ GET every snapshot ──▶ once more after a moment, where no event came meanwhile
//   event: gap  ──▶ GET every snapshot
//
// The stream's head may be here before Redis has confirmed the subscription: that is what the second GET is for. A snapshot is
// taken only for a batch that has had no event since the GET was sent: an event is always newer.

import { eventsUrl, readBatch } from './api.js';
import { readPayload } from './batch_payload.js';
import { EventStream } from './sse.js';

export const BATCHES_MAX = 32;
const SECOND_LOOK_MS = 1500;
const QUIET_REFRESH_MS = 20_000; // batches that are only SET, never published
const PARALLEL_READS = 2;
const HIDDEN_CLOSE_MS = 60_000; // a tab nobody looks at gives its connection back

export class BatchFeed {
  #batches = new Map();
  #onChange;
  #onConnection;
  #stream = null;
  #secondLook = 0;
  #hiddenTimer = 0;
  #round = 0;

  /** onChange(batch) for each batch that is new or different; onConnection(state, problem) for the stream they share. */
  constructor({ onChange, onConnection }) {
    this.#onChange = onChange;
    this.#onConnection = onConnection;
    setInterval(() => this.#refreshQuiet(), QUIET_REFRESH_MS);
    document.addEventListener('visibilitychange', () => this.#visibilityChanged());
    addEventListener('online', () => this.#stream?.retryNow());
  }

  /** Follows exactly these batches; those followed already keep what is known. */
  follow(ids) {
    const known = this.#batches;
    this.#batches = new Map(ids.slice(0, BATCHES_MAX).map((id) => [id, known.get(id) ?? newBatch(id)]));
    this.#reopen('');
  }

  #reopen(lastEventId) {
    this.#stream?.close();
    this.#stream = null;
    if (this.#batches.size === 0) return;
    const topics = [...this.#batches.keys()].map((id) => ({ kind: 'channel', name: `batch:${id}` }));
    const stream = new EventStream(
      eventsUrl(topics, 'envelope'),
      {
        onState: (state) => this.#connectionChanged(stream, state),
        onEvent: (event) => this.#take(event),
      },
      lastEventId,
    );
    this.#stream = stream;
    stream.open();
  }

  #connectionChanged(stream, state) {
    if (stream !== this.#stream) return;
    this.#onConnection(state, stream.problem);
    if (state === 'live') this.#refreshAll();
  }

  #take(event) {
    const data = parse(event.data);
    if (event.name === 'gap') this.#takeGap(data?.reason ?? 'unknown');
    else if (event.name === 'message' && typeof data?.channel === 'string') this.#takeMessage(data);
    else if (event.name === 'error' || event.name === 'expired') this.#onConnection('failed', data?.detail ?? event.data);
  }

  #takeMessage({ channel, data }) {
    const batch = this.#batches.get(channel.slice('batch:'.length));
    if (!batch) return;
    batch.events++;
    batch.heard = this.#round;
    batch.lastEventAt = Date.now();
    batch.state = readPayload(data);
    batch.problem = null;
    this.#onChange(batch);
  }

  /** Something may have been missed: on which channel, the gateway cannot know. */
  #takeGap(reason) {
    for (const batch of this.#batches.values()) {
      batch.gaps++;
      batch.lastGap = { reason, at: Date.now() };
      this.#onChange(batch);
    }
    this.#refreshAll();
  }

  #refreshAll() {
    this.#round++;
    this.#refresh([...this.#batches.values()]);
    clearTimeout(this.#secondLook);
    this.#secondLook = setTimeout(() => this.#refreshQuiet(), SECOND_LOOK_MS);
  }

  #refreshQuiet() {
    if (this.#stream?.state !== 'live') return;
    this.#refresh([...this.#batches.values()].filter((batch) => batch.heard !== this.#round));
  }

  async #refresh(batches) {
    const waiting = [...batches];
    const readOneByOne = async () => {
      for (let batch = waiting.shift(); batch; batch = waiting.shift()) await this.#readSnapshot(batch);
    };
    await Promise.all(Array.from({ length: PARALLEL_READS }, readOneByOne));
  }

  async #readSnapshot(batch) {
    const eventsBefore = batch.events;
    const snapshot = await readBatch(batch.id).then(
      (payload) => ({ payload, problem: null }),
      (error) => ({ problem: error.message }),
    );
    if (batch.events !== eventsBefore || this.#batches.get(batch.id) !== batch) return;
    batch.problem = snapshot.problem;
    if (snapshot.payload !== undefined) batch.state = readPayload(snapshot.payload);
    this.#onChange(batch);
  }

  #visibilityChanged() {
    clearTimeout(this.#hiddenTimer);
    if (document.hidden) {
      this.#hiddenTimer = setTimeout(() => this.#stream?.close(), HIDDEN_CLOSE_MS);
    } else if (this.#stream?.state === 'closed') {
      this.#reopen(this.#stream.lastEventId);
    }
  }
}

function newBatch(id) {
  return {
    id,
    state: null, // as readPayload() gives it; null until something is known
    events: 0,
    heard: -1, // the round of snapshots in which the last event came
    lastEventAt: null,
    gaps: 0,
    lastGap: null, // {reason, at}
    problem: null,
  };
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
