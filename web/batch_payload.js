// What a batch's payload says. Workers write it as they like; by custom
// {"batchId", "name", "status", "progress", "counts": {…}, "message"}.

const TERMINAL = new Set(['COMPLETED', 'PARTIAL', 'FAILED']);
const DONE_NAMES = ['completed', 'processed', 'done', 'finished', 'succeeded', 'success'];
const FAILED_NAMES = ['failed', 'errors', 'error', 'skipped'];

/** → {name, status, isTerminal, percent (0…100, or null where unknown), message, counts: [[name, value], …]} */
export function readPayload(payload) {
  if (payload === null || typeof payload !== 'object' || Array.isArray(payload)) {
    const message = payload === undefined ? '' : typeof payload === 'string' ? payload : JSON.stringify(payload);
    return { name: '', status: '', isTerminal: false, percent: null, message, counts: [] };
  }
  const status = typeof payload.status === 'string' ? payload.status : '';
  return {
    name: typeof payload.name === 'string' ? payload.name : '',
    status,
    isTerminal: TERMINAL.has(status),
    percent: readPercent(payload, status),
    message: [payload.message, payload.error, payload.step].find((text) => typeof text === 'string') ?? '',
    counts: readCounts(payload.counts),
  };
}

function readCounts(counts) {
  if (counts === null || typeof counts !== 'object') return [];
  return Object.entries(counts).filter(([, value]) => typeof value === 'number');
}

function readPercent(payload, status) {
  const { progress } = payload;
  if (Number.isFinite(progress)) {
    // 0.37 is a ratio and 37 a percentage; 1 is one percent, unless the batch is done.
    const isRatio = progress > 0 && progress < 1 && !Number.isInteger(progress);
    const percent = isRatio && !looksLikePercent(payload, progress) ? progress * 100 : progress;
    return status === 'COMPLETED' && progress === 1 ? 100 : clamp(percent);
  }
  if (status === 'COMPLETED') return 100;
  const ratio = countedRatio(payload.counts);
  return ratio === null ? null : clamp(ratio * 100);
}

/** "0.4" of a batch at 4 of 1000 is a percentage: the counts know. */
function looksLikePercent(payload, progress) {
  const ratio = countedRatio(payload.counts);
  return ratio !== null && Math.abs(ratio * 100 - progress) < Math.abs(ratio - progress);
}

function countedRatio(counts) {
  if (counts === null || typeof counts !== 'object' || !(counts.total > 0)) return null;
  const done = DONE_NAMES.map((name) => counts[name]).find(Number.isFinite);
  if (done === undefined) return null;
  const failed = FAILED_NAMES.map((name) => counts[name]).find(Number.isFinite) ?? 0;
  const counted = 'processed' in counts ? done : done + failed;
  return counted / counts.total;
}

function clamp(percent) {
  return Math.min(100, Math.max(0, percent));
}
