// The live stream: what arrives while the page is open.
import { $, num } from './dom.js';
import { current } from './filters.js';
import { load, onLaterPage, PAGE, place, rows, show, trim, view } from './list.js';
import { stats, statsSoon } from './stats.js';
import { keyOf, nameOf, podName } from './words.js';

const MOST_WAITING = 1000;

let source = null, retry = 0, batch = [], batching = 0;

export function state(name, text) {
  $('state').dataset.state = name;
  if ($('state').textContent !== text) $('state').textContent = text;
}

const live = () => state(view.paused ? 'paused' : 'live', view.paused ? 'Paused' : 'Live');

// forget drops what arrived for a list that is read anew.
export function forget() {
  clearTimeout(batching);
  batch = [];
}

export function closeStream() {
  clearTimeout(retry);
  if (source) source.close();
  source = null;
}

export function openStream() {
  closeStream();
  if (document.hidden) return; // a browser has six connections for a server: hidden pages must not hold them
  const q = current();
  q.set('after', view.after);
  source = new EventSource('api/events/stream?' + q);
  source.onopen = live;
  source.onmessage = (e) => { view.after = e.lastEventId; arrived(JSON.parse(e.data)); };
  source.addEventListener('reset', () => load());
  source.onerror = () => {
    if (source && source.readyState === EventSource.CLOSED) retryLater();
    else state('away', 'Reconnecting');
  };
}

export function retryLater() {
  closeStream();
  state('away', 'Not connected');
  retry = setTimeout(() => (view.loaded ? openStream() : load()), 10000);
}

// reading tells whether new rows would move what the reader looks at.
function reading() {
  return view.paused || $('rows').contains(document.activeElement) || $('detail').open ||
    ($('table').hidden ? $('events') : $('table')).getBoundingClientRect().top < 0 || !getSelection().isCollapsed;
}

// arrived gathers what comes at once, so that it is one change to the page and one announcement.
function arrived(item) {
  batch.push(item);
  clearTimeout(batching);
  if (batch.length < 200) batching = setTimeout(settle, 60);
  else settle();
}

function settle() {
  const fresh = batch.filter((i) => !rows.has(keyOf(i)) && !view.waiting.some((w) => keyOf(w) === keyOf(i)));
  batch = [];
  if (fresh.length) statsSoon(); // the charts count what is on a later page, too
  const items = fresh.filter((i) => !onLaterPage(i));
  if (!items.length) return;
  if (reading()) {
    view.waiting.push(...items);
    if (view.waiting.length > MOST_WAITING) view.waiting = view.waiting.slice(-MOST_WAITING);
  } else {
    items.forEach((item) => place(item, true));
    trim();
  }
  show();
  $('say').textContent = items.length === 1 ? `New: ${nameOf(items[0].outcome)}, Pod ${podName(items[0])} in ${items[0].namespace}` : `${num(items.length)} new events`;
}

function placeWaiting() {
  view.waiting.splice(0).forEach((item) => place(item, true));
  trim();
  show();
}

// showWaiting shows what waits, and goes there.
export function showWaiting() {
  if (view.waiting.length > PAGE) load(); // more than a page: read it anew
  placeWaiting();
  const first = $('rows').querySelector('a');
  $('events').scrollIntoView({ block: 'start' });
  if (first) first.focus({ preventScroll: true });
}

export function togglePause() {
  view.paused = !view.paused;
  $('pause').setAttribute('aria-pressed', view.paused);
  $('pause').textContent = view.paused ? 'Resume' : 'Pause';
  if (source && source.readyState === EventSource.OPEN) live();
  if (!view.paused && view.waiting.length && !reading()) placeWaiting();
}

document.addEventListener('visibilitychange', () => {
  if (document.hidden) closeStream();
  else if (view.loaded && !source) openStream();
});
setInterval(() => { if (!document.hidden && view.loaded) stats(); }, 30000);
