// A line of the last values, without axes: the shape is the information, the number stands beside it.

import { setAttribute, svgElement } from './dom.js';

const POINTS = 60;
const WIDTH = 120;
const HEIGHT = 24;

export class Sparkline {
  #values = [];
  #line = svgElement('path', { class: 'spark-line' });
  #area = svgElement('path', { class: 'spark-area' });
  node = svgElement(
    'svg',
    { class: 'spark', viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: 'none', 'aria-hidden': 'true' },
    this.#area,
    this.#line,
  );

  /** Anything but a number is a break in the line. */
  push(value) {
    this.#values.push(Number.isFinite(value) ? value : null);
    if (this.#values.length > POINTS) this.#values.shift();
    this.#draw();
  }

  #draw() {
    const highest = Math.max(...this.#values.map((value) => value ?? 0)) || 1;
    const first = POINTS - this.#values.length;
    let line = '';
    let area = '';
    let begun = null;
    const endArea = (x) => {
      if (begun !== null) area += `L${x} ${HEIGHT}L${begun} ${HEIGHT}Z`;
      begun = null;
    };
    let x = 0;
    this.#values.forEach((value, index) => {
      if (value === null) {
        endArea(x);
        return;
      }
      x = round(((first + index) * WIDTH) / (POINTS - 1));
      const point = `${x} ${round(HEIGHT - 1 - (value / highest) * (HEIGHT - 3))}`;
      line += (begun === null ? 'M' : 'L') + point;
      area += (begun === null ? 'M' : 'L') + point;
      begun ??= x;
    });
    endArea(x);
    setAttribute(this.#line, 'd', line || null);
    setAttribute(this.#area, 'd', area || null);
  }
}

function round(value) {
  return Math.round(value * 10) / 10;
}
