// Light, dark, or as the system says.

import { byId, remember, remembered, setAttribute, setText } from './dom.js';

const THEMES = ['auto', 'light', 'dark'];

export function startTheme() {
  let theme = remembered('theme', 'auto');
  if (!THEMES.includes(theme)) theme = 'auto';
  const button = byId('theme');
  const draw = () => {
    setAttribute(document.documentElement, 'data-theme', theme === 'auto' ? null : theme);
    setText(button, `Theme: ${theme}`);
  };
  const next = () => {
    theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
    remember('theme', theme);
    draw();
  };
  button.addEventListener('click', next);
  draw();
  return next;
}
