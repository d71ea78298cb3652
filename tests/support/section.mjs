// Writes a part of a document that a run makes, between its two marks.

import { readFileSync, writeFileSync } from 'node:fs';

/** `name` is what the marks say: <!-- name: written by … --> … <!-- end of name -->. */
export function writeSection(document, name, text) {
  const whole = readFileSync(document, 'utf8');
  const begin = whole.match(new RegExp(`<!-- ${name}: written by [^\\n]* -->\\n`));
  const end = whole.indexOf(`<!-- end of ${name} -->`);
  if (!begin || end < begin.index) throw new Error(`${document} has no place for: ${name}`);
  writeFileSync(document, `${whole.slice(0, begin.index + begin[0].length)}${text.trimEnd()}\n${whole.slice(end)}`);
}

export function thousands(number) {
  return String(Math.round(number)).replace(/\B(?=(\d{3})+$)/g, ',');
}
