// The few things the page needs to build and change elements.

export function byId(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`index.html has no #${id}`);
  return found;
}

/** element('p', { class: 'note', hidden: true }, 'text', child): null and false attributes are left out. */
export function element(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

export function svgElement(tag, attributes = {}, ...children) {
  return fill(document.createElementNS('http://www.w3.org/2000/svg', tag), attributes, children);
}

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value === true ? '' : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

/** Touches the text only when it differs, so that nothing is laid out or announced in vain. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function setAttribute(node, name, value) {
  if (value === null) node.removeAttribute(name);
  else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
}

/**
 * Calls `work` once in the next frame, however often it is asked to, and not sooner than `spacingMs` after the last time.
 * Background tabs get no frames, so they do no work.
 */
export function oncePerFrame(work, spacingMs = 0) {
  let isAsked = false;
  let last = -Infinity;
  const run = () =>
    requestAnimationFrame((now) => {
      isAsked = false;
      last = now;
      work();
    });
  return () => {
    if (isAsked) return;
    isAsked = true;
    const early = spacingMs - (performance.now() - last);
    if (early > 0) setTimeout(run, early);
    else run();
  };
}

/** What was remembered under `key`, or `fallback`: storage may be full, blocked, or hold what an older page wrote. */
export function remembered(key, fallback) {
  try {
    return JSON.parse(localStorage.getItem(`sluice.${key}`)) ?? fallback;
  } catch {
    return fallback;
  }
}

export function remember(key, value) {
  try {
    localStorage.setItem(`sluice.${key}`, JSON.stringify(value));
  } catch {
    // The page works without a memory.
  }
}
