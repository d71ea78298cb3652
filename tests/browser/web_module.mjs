// The page's modules in Node, which takes a bare .js file for CommonJS up to version 20; for modules that import nothing themselves.

import { readFileSync } from 'node:fs';

export function webModule(name) {
  const source = readFileSync(new URL(`../../web/${name}`, import.meta.url), 'utf8');
  return import(`data:text/javascript,${encodeURIComponent(source)}`);
}
