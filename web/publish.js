// The publish form: one event to one channel, and what the gateway says to it.

import { Problem, publish } from './api.js';
import { byId, element, setAttribute, setText } from './dom.js';
import { formatClock, formatMilliseconds } from './format.js';

export function startPublish() {
  const form = byId('publish-form');
  const payload = byId('publish-payload');
  const isJson = () => {
    const problem = jsonProblem(payload.value);
    setText(byId('payload-problem'), problem ?? '');
    setAttribute(payload, 'aria-invalid', problem ? 'true' : null);
    return problem === null;
  };

  payload.addEventListener('input', isJson);
  payload.addEventListener('keydown', (event) => {
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) form.requestSubmit();
  });
  byId('new-key').addEventListener('click', () => {
    byId('publish-key').value = randomKey();
  });
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    if (!isJson()) {
      payload.focus();
      return;
    }
    await send(byId('publish-channel').value.trim(), payload.value, byId('publish-key').value.trim());
  });
}

async function send(channel, payloadText, key) {
  const button = byId('publish-send');
  const begun = performance.now();
  button.disabled = true;
  try {
    const receipt = await publish(channel, payloadText, key);
    show('ok', receipt.duplicate ? 'Already published under this id' : 'Published', receipt, begun);
  } catch (error) {
    if (error instanceof Problem) show('bad', error.message, { status: error.status, ...error.fields }, begun);
    else show('bad', error.name === 'TimeoutError' ? 'No answer came in 30 s.' : 'The gateway cannot be reached.', {}, begun);
  } finally {
    button.disabled = false;
  }
}

function show(level, title, fields, begun) {
  const took = formatMilliseconds(performance.now() - begun);
  const shown = Object.entries(fields).filter(([name, value]) => !(name === 'type' || name === 'detail' || value === undefined));
  const text = (value) => (typeof value === 'string' ? value : JSON.stringify(value));
  const result = byId('publish-result');
  setAttribute(result, 'data-level', level);
  result.replaceChildren(
    element('p', {}, element('strong', {}, title), ` ${formatClock(Date.now())}, ${took}`),
    element('dl', {}, ...shown.map(([name, value]) => element('div', {}, element('dt', {}, name), element('dd', {}, text(value))))),
  );
}

function jsonProblem(text) {
  try {
    JSON.parse(text);
    return null;
  } catch (error) {
    return text.trim() === '' ? 'The payload is empty; JSON is needed, if only null.' : `No JSON: ${error.message}.`;
  }
}

/** crypto.randomUUID() is missing on pages served over plain HTTP from another machine. */
function randomKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}
