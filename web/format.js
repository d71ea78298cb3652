// Numbers, sizes and times as people read them.

const PLAIN = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const COMPACT = new Intl.NumberFormat('en', { notation: 'compact', maximumSignificantDigits: 3 });
const BYTE_UNITS = ['B', 'kB', 'MB', 'GB', 'TB'];

export const NOTHING = '–';

export function formatCount(value) {
  if (!Number.isFinite(value)) return NOTHING;
  return Math.abs(value) < 10_000 ? PLAIN.format(value) : COMPACT.format(value);
}

export function formatRate(value) {
  if (!Number.isFinite(value)) return NOTHING;
  return value > 0 && value < 10 ? value.toFixed(1) : formatCount(value);
}

export function formatBytes(value) {
  if (!Number.isFinite(value)) return NOTHING;
  let unit = 0;
  let scaled = value;
  while (scaled >= 1000 && unit < BYTE_UNITS.length - 1) {
    scaled /= 1000;
    unit++;
  }
  return `${unit === 0 || scaled >= 100 ? Math.round(scaled) : scaled.toFixed(1)} ${BYTE_UNITS[unit]}`;
}

export function formatMilliseconds(value) {
  if (!Number.isFinite(value)) return NOTHING;
  if (value >= 1000) return `${(value / 1000).toFixed(1)} s`;
  if (value >= 10) return `${Math.round(value)} ms`;
  return `${value.toFixed(value >= 1 ? 1 : 2)} ms`;
}

export function formatPercent(ratio) {
  if (!Number.isFinite(ratio)) return NOTHING;
  const percent = ratio * 100;
  return `${percent > 99 && percent < 100 ? Math.min(percent, 99.9).toFixed(1) : Math.round(percent)} %`;
}

/** 95 s → "1 min 35 s": the two largest units. */
export function formatDuration(seconds) {
  if (!Number.isFinite(seconds)) return NOTHING;
  const whole = Math.max(0, Math.floor(seconds));
  const [days, hours, minutes] = [Math.floor(whole / 86_400), Math.floor(whole / 3600) % 24, Math.floor(whole / 60) % 60];
  if (days) return `${days} d ${hours} h`;
  if (hours) return `${hours} h ${minutes} min`;
  if (minutes) return `${minutes} min ${whole % 60} s`;
  return `${whole} s`;
}

export function formatAgo(milliseconds) {
  return milliseconds < 1500 ? 'just now' : `${formatDuration(milliseconds / 1000)} ago`;
}

const pad = (value, width) => String(value).padStart(width, '0');

/** Local wall time with milliseconds; written out by hand because Intl is too slow for a thousand events a second. */
export function formatClock(time) {
  const date = new Date(time);
  return `${pad(date.getHours(), 2)}:${pad(date.getMinutes(), 2)}:${pad(date.getSeconds(), 2)}.${pad(date.getMilliseconds(), 3)}`;
}
