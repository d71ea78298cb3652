// The gateway's endpoints. Every URL is relative to the page, so it works behind any prefix or proxy path.

const ANSWER_TIMEOUT_MS = 10_000;

export function batchUrl(id) {
  return `batches/${encodeURIComponent(id)}`;
}

export function batchStreamUrl(id) {
  return `${batchUrl(id)}/stream`;
}

/** `topics` are {kind: 'channel' | 'pattern' | 'stream', name}. */
export function eventsUrl(topics, format) {
  const query = new URLSearchParams(topics.map(({ kind, name }) => [kind, name]));
  if (format) query.set('format', format);
  return `events/stream?${query}`;
}

/** An answer that is no success; `detail` is the sentence of the problem document (RFC 9457), when there is one. */
export class Problem extends Error {
  constructor(status, fields = {}) {
    super(fields.detail || fields.title || `The gateway answered ${status}.`);
    this.name = 'Problem';
    this.status = status;
    this.fields = fields;
  }

  static async of(response) {
    const isProblem = (response.headers.get('content-type') ?? '').includes('json');
    const fields = isProblem ? await response.json().catch(() => ({})) : {};
    return new Problem(response.status, fields !== null && typeof fields === 'object' ? fields : {});
  }
}

async function request(url, options = {}) {
  const response = await fetch(url, { cache: 'no-store', signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS), ...options });
  if (!response.ok) throw await Problem.of(response);
  return response;
}

export async function readMetrics() {
  return (await request('metrics', { headers: { Accept: 'application/json' } })).json();
}

/** The snapshot: an object, or whatever JSON the worker stored; undefined where there is none. */
export async function readBatch(id) {
  try {
    return parsePayload(await (await request(batchUrl(id))).text());
  } catch (problem) {
    if (problem instanceof Problem && problem.status === 404) return undefined;
    throw problem;
  }
}

/** `payloadText` is JSON and is sent as written: parsing it here would round large numbers. */
export async function publish(channel, payloadText, idempotencyKey) {
  const id = idempotencyKey ? `,"id":${JSON.stringify(idempotencyKey)}` : '';
  const response = await request('events/publish', {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: `{"channel":${JSON.stringify(channel)},"payload":${payloadText}${id}}`,
    signal: AbortSignal.timeout(30_000), // the gateway itself tries Redis again after 1, 2 and 4 seconds
  });
  return response.json();
}

function parsePayload(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
