// Server-sent events over fetch(): EventSource hides comments, retry times, and events whose names it was not told.
// EventParser follows WHATWG HTML, section 9.2.6 "Interpreting an event stream"; EventStream adds the reconnecting.

const EVENT_LENGTH_MAX = 16 * 1024 * 1024; // characters; a stream that never ends its line must not eat the browser

/** Takes bytes in pieces cut anywhere. An event that is not ended by an empty line is never reported. */
export class EventParser {
  #handlers;
  #decoder = new TextDecoder(); // drops one leading byte order mark, and knows sequences cut in two
  #partialLine = '';
  #endedWithReturn = false;
  #data = [];
  #dataLength = 0;
  #name = '';
  #idBuffer = '';
  lastEventId;

  /** `handlers`: onEvent({id, name, data}), onComment(text), onRetry(milliseconds); each may be left out. */
  constructor(handlers, lastEventId = '') {
    this.#handlers = handlers;
    this.#idBuffer = this.lastEventId = lastEventId;
  }

  push(bytes) {
    const text = this.#decoder.decode(bytes, { stream: true });
    if (text === '') return;
    let start = this.#endedWithReturn && text[0] === '\n' ? 1 : 0; // the second half of a CRLF that was cut
    const lineEnd = /\r\n?|\n/g;
    lineEnd.lastIndex = start;
    for (let match = lineEnd.exec(text); match; match = lineEnd.exec(text)) {
      const line = this.#partialLine + text.slice(start, match.index);
      this.#partialLine = '';
      start = lineEnd.lastIndex;
      this.#takeLine(line);
    }
    this.#endedWithReturn = text.endsWith('\r');
    this.#partialLine += text.slice(start);
    this.#checkLength(this.#partialLine.length);
  }

  #takeLine(line) {
    if (line === '') {
      this.#dispatch();
      return;
    }
    const colon = line.indexOf(':');
    if (colon === 0) {
      this.#handlers.onComment?.(line.slice(1));
      return;
    }
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(line[colon + 1] === ' ' ? colon + 2 : colon + 1);
    if (field === 'data') {
      this.#data.push(value);
      this.#dataLength += value.length + 1;
      this.#checkLength(this.#dataLength);
    } else if (field === 'event') {
      this.#name = value;
    } else if (field === 'id') {
      if (!value.includes('\0')) this.#idBuffer = value;
    } else if (field === 'retry') {
      if (/^[0-9]+$/.test(value)) this.#handlers.onRetry?.(Number(value));
    }
  }

  #dispatch() {
    this.lastEventId = this.#idBuffer; // also without data: a block with only an id moves the position silently
    const { length } = this.#data;
    const event = { id: this.lastEventId, name: this.#name || 'message', data: this.#data.join('\n') };
    this.#data = [];
    this.#dataLength = 0;
    this.#name = '';
    if (length > 0) this.#handlers.onEvent?.(event);
  }

  #checkLength(length) {
    if (length > EVENT_LENGTH_MAX) throw new EventTooLong();
  }
}

class EventTooLong extends Error {
  message = `An event is longer than ${EVENT_LENGTH_MAX} characters.`;
}

const RETRY_DEFAULT_MS = 3000;
const RETRY_MAX_MS = 30_000;
// The gateway sends a heartbeat every 15 s. Where it is set to send fewer, reconnecting costs nothing: no event is lost by it.
const SILENCE_MAX_MS = 45_000;
const SILENCE_CHECK_MS = 5000;

/**
 * One stream that comes back by itself, from where it was:
 *
 *   closed ─open()─▶ connecting ─200─▶ live ─end, error or silence─▶ waiting ─delay over, retryNow()─▶ connecting
 *                        ├─ network, 429, 5xx ─────────────────────────┘
 *                        ├─ 204 ─▶ ended       the server says that there is no more
 *                        └─ else ─▶ failed     trying again would not help
 *
 * close() leads to closed from everywhere. #become() alone changes the state.
 */
export class EventStream {
  #url;
  #handlers;
  #stop = null;
  #cutWait = null;
  #retryMs = RETRY_DEFAULT_MS;
  #failures = 0;
  state = 'closed';
  problem = null; // what was wrong with the last attempt: a sentence, or null
  lastEventId;

  /** `handlers`: those of EventParser and onState(state, previous); `lastEventId` continues an earlier stream. */
  constructor(url, handlers, lastEventId = '') {
    this.#url = url;
    this.#handlers = handlers;
    this.lastEventId = lastEventId;
  }

  open() {
    if (this.#stop) return;
    this.#stop = new AbortController();
    this.#run(this.#stop.signal);
  }

  close() {
    this.#stop?.abort();
    this.#stop = null;
    this.problem = null;
    this.#become('closed');
  }

  /** Ends the wait before the next attempt, say because the network is back. */
  retryNow() {
    this.#cutWait?.();
  }

  #become(state) {
    if (state === this.state) return;
    const previous = this.state;
    this.state = state;
    this.#handlers.onState?.(state, previous);
  }

  async #run(stopped) {
    while (!stopped.aborted) {
      this.#become('connecting');
      const next = await this.#connect(stopped);
      if (stopped.aborted) return;
      this.#become(next.state);
      if (next.state !== 'waiting') return;
      await this.#wait(next.delayMs, stopped);
    }
  }

  /** One connection from its request to its end; resolves to what comes next. */
  async #connect(stopped) {
    const connection = new AbortController();
    const stop = () => connection.abort();
    stopped.addEventListener('abort', stop);
    let heardAt = Date.now();
    const watch = setInterval(() => {
      if (Date.now() - heardAt > SILENCE_MAX_MS) connection.abort(new Error('Nothing came for 45 s, not even a heartbeat.'));
    }, SILENCE_CHECK_MS);
    try {
      const response = await fetch(this.#url, {
        headers: this.#headers(),
        cache: 'no-store',
        signal: connection.signal,
      });
      const refusal = await this.#refusal(response);
      if (refusal) return refusal;
      this.#failures = 0;
      this.problem = null;
      this.#become('live');
      const parser = this.#parser(stopped);
      const reader = response.body.getReader();
      for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
        heardAt = Date.now();
        parser.push(piece.value);
        this.lastEventId = parser.lastEventId;
        if (stopped.aborted) break; // a handler closed the stream
      }
      return { state: 'waiting', delayMs: this.#retryMs };
    } catch (error) {
      if (stopped.aborted) return { state: 'closed' }; // `problem` may belong to the next open() by now
      this.problem = error instanceof TypeError ? 'The gateway cannot be reached.' : error.message;
      if (error instanceof EventTooLong) return { state: 'failed' };
      return { state: 'waiting', delayMs: this.#backoffMs() };
    } finally {
      clearInterval(watch);
      stopped.removeEventListener('abort', stop);
      connection.abort(); // lets go of a body that was not read to its end
    }
  }

  #headers() {
    const headers = { Accept: 'text/event-stream' };
    // A header carries bytes: any id is written as its UTF-8, as EventSource does.
    if (this.lastEventId) headers['Last-Event-ID'] = String.fromCharCode(...new TextEncoder().encode(this.lastEventId));
    return headers;
  }

  #parser(stopped) {
    const unlessStopped = (handler) => (value) => {
      if (!stopped.aborted) handler?.(value);
    };
    return new EventParser(
      {
        onEvent: unlessStopped(this.#handlers.onEvent),
        onComment: unlessStopped(this.#handlers.onComment),
        onRetry: unlessStopped((milliseconds) => {
          this.#retryMs = Math.min(milliseconds, RETRY_MAX_MS);
          this.#handlers.onRetry?.(milliseconds);
        }),
      },
      this.lastEventId,
    );
  }

  /** Null for a stream that can be read. */
  async #refusal(response) {
    if (response.status === 204) return { state: 'ended' };
    const type = response.headers.get('content-type') ?? '';
    if (response.status === 200 && type.startsWith('text/event-stream')) return null;
    const text = type.includes('json') ? await response.text() : '';
    this.problem = problemSentence(text) ?? `The gateway answered ${response.status} ${type}`.trim() + '.';
    if (response.status !== 429 && response.status < 500) return { state: 'failed' };
    const retryAfterMs = Number(response.headers.get('retry-after')) * 1000 || 0;
    return { state: 'waiting', delayMs: Math.max(this.#backoffMs(), Math.min(retryAfterMs, RETRY_MAX_MS)) };
  }

  /** The server's retry time, doubled with each failure in a row, and spread so that tabs do not come back in step. */
  #backoffMs() {
    const delay = Math.min(this.#retryMs * 2 ** this.#failures++, RETRY_MAX_MS);
    return delay * (0.75 + Math.random() / 4);
  }

  #wait(delayMs, stopped) {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, delayMs);
      this.#cutWait = () => {
        clearTimeout(timer);
        resolve();
      };
      stopped.addEventListener('abort', this.#cutWait, { once: true });
    });
  }
}

function problemSentence(text) {
  try {
    const { detail, title } = JSON.parse(text);
    return detail ?? title ?? null;
  } catch {
    return null;
  }
}
