// The list of events.
import { $, h, num } from './dom.js';
import { address, begins, current } from './filters.js';
import { closeStream, forget, openStream, retryLater } from './live.js';
import { ask } from './server.js';
import { stats } from './stats.js';
import { badge, backTo, keyOf, podName, shortTime, shortURL, userOf } from './words.js';
import { duration } from './charts.js';

export const PAGE = 50; // rows at once
const MOST = 500; // rows at all

// rows are the shown ones, by keyOf.
export const rows = new Map();

// view is where the list stands.
export const view = {
  loaded: false, // the first page was read
  paused: false,
  next: null, // what to ask for the next page with: [parameter, value]
  since: '', // how far back the list goes, if there is a next page
  after: '', // position in the order of arrival
  waiting: [], // items that arrived and are not shown yet
};

let loading = null;

function row(item) {
  const user = userOf(item.user), target = address(current(), item);
  const tone = { rejected: ' bad', failedopen: ' bad', denied: ' deny' }[item.outcome] || '';
  const tr = h('tr', { role: 'row' },
    h('td', { role: 'cell' }, shortTime(item.time)),
    h('td', { role: 'cell' }, badge(item.outcome)),
    h('td', { role: 'cell' }, h('a', { href: target, text: podName(item) }), h('span', { class: 'sub', text: item.namespace }), ...seenAs(item)),
    h('td', { role: 'cell' }, deniedBy(item), h('span', { class: 'clip' + tone, text: item.gist, title: item.gist }), item.superseded ? h('span', { class: 'sub', text: 'superseded by a final verdict' }) : null),
    h('td', { role: 'cell' }, ...calls(item)),
    h('td', { role: 'cell', title: item.user }, h('span', { text: user.text }), user.sub ? h('span', { class: 'sub', text: user.sub }) : null));
  tr.item = item;
  return tr;
}

function seenAs(item) {
  if (!item.seen) return [];
  const names = item.seen.filter((n) => n !== item.name);
  return [h('span', { class: 'sub seen', text: names.length ? '✓ seen as ' + names.join(', ') : '✓ seen by /validate' })];
}

// deniedBy says whose decision a denial is.
function deniedBy(item) {
  const denied = item.endpoints.find((c) => c.denied);
  return denied ? h('strong', { class: 'deny by', text: 'Denied by ' + shortURL(denied.url) }) : null;
}

// calls shows the endpoint that decided, else the first.
function calls(item) {
  if (!item.endpoints.length) return [h('span', { class: 'sub', text: 'none called' })];
  const denied = item.endpoints.find((c) => c.denied), failed = item.endpoints.find((c) => c.failed);
  const shown = denied || failed || item.endpoints[0], others = item.endpoints.length - 1;
  const total = item.endpoints.reduce((n, c) => n + c.durationMs, 0);
  return [
    h('span', { class: 'clip', text: shortURL(shown.url), title: item.endpoints.map((c) => c.url).join('\n') }),
    h('span', { class: 'sub ms' + (denied ? ' deny' : failed ? ' bad' : '') },
      (others ? `and ${others} more, ` : '') + duration(total) + (denied ? ', denied' : failed ? ', failed' : '')),
  ];
}

// onLaterPage says whether an item that arrived is older than the list goes back. The last row does not say it: a short page goes
// back further than its last event, and an empty one has none.
export const onLaterPage = (item) => view.next && Date.parse(item.time) < Date.parse(view.since);

// place puts an item where its time belongs. A final verdict marks the one that it supersedes.
export function place(item, fresh) {
  const base = item.id.endsWith('/final') ? rows.get(item.source + '\n' + item.id.slice(0, -6)) : null;
  if (base && !base.item.superseded) replace(base, { ...base.item, superseded: true });
  if (rows.has(keyOf(item))) return;
  const tr = row(item);
  if (fresh) tr.classList.add('fresh');
  let at = fresh ? $('rows').firstElementChild : null;
  while (at && Date.parse(at.item.time) > Date.parse(item.time)) at = at.nextElementSibling;
  $('rows').insertBefore(tr, at);
  rows.set(keyOf(item), tr);
  if (fresh && item.outcome === 'validated' && item.mutation) nameMutation(item);
}

// nameMutation adds the name in a validated event to the mutation that it is about, if that is shown.
function nameMutation(item) {
  const tr = rows.get(item.source + '\n' + item.mutation);
  if (!tr || tr.item.namespace !== item.namespace || !item.name.startsWith(tr.item.name || tr.item.generateName.slice(0, 58))) return;
  const known = tr.item.seen || [];
  if (known.includes(item.name)) return;
  replace(tr, { ...tr.item, seen: known.concat(item.name) });
}

// replace shows a row anew.
function replace(tr, item) {
  const focused = tr.contains(document.activeElement), changed = row(item);
  tr.replaceWith(changed);
  rows.set(keyOf(item), changed);
  if (focused) changed.querySelector('a').focus();
}

export function trim() {
  if (rows.size <= MOST) return;
  while (rows.size > MOST) {
    const last = $('rows').lastElementChild;
    rows.delete(keyOf(last.item));
    last.remove();
  }
  // Older events are read again from the last row that is left: the server's cursor is further back. `to` is exclusive, and
  // other events may have the same millisecond: hence one more.
  view.since = $('rows').lastElementChild.item.time;
  view.next = ['to', new Date(Date.parse(view.since) + 1).toISOString()];
}

function problem(e) {
  $('problem').hidden = !e;
  $('problem').textContent = e ? e.message : '';
}

// load reads the list anew.
export async function load() {
  if (loading) loading.abort();
  const mine = (loading = new AbortController());
  closeStream();
  try {
    const page = await ask('api/events?' + withLimit(current()), mine.signal);
    if (mine !== loading) return;
    problem(null);
    rows.clear();
    $('rows').replaceChildren();
    forget();
    Object.assign(view, { waiting: [], loaded: true, next: page.next ? ['cursor', page.next] : null, since: page.since, after: page.after });
    page.items.forEach((item) => place(item, false));
    show();
    openStream();
    stats();
    if (!page.items.length && view.next) older(60);
  } catch (e) {
    if (e.name === 'AbortError' || mine !== loading) return;
    if (e.status !== 401) problem(e);
    if (e.status === 0 || e.status >= 500) retryLater();
  }
}

const withLimit = (q) => { q.set('limit', PAGE); return q; };

// older reads the next page, and some more while pages bring nothing new.
export async function older(more) {
  const q = withLimit(current());
  if (Date.parse(view.since) < begins(q)) { // of the last 15 minutes, say, which go on while the page is open
    view.next = null;
    show();
    $('say').textContent = 'No older events';
    return;
  }
  q.set(...view.next);
  $('more').disabled = true;
  try {
    const page = await ask('api/events?' + q, loading.signal);
    const found = page.items.filter((item) => !rows.has(keyOf(item))), first = found[0];
    Object.assign(view, { next: page.next ? ['cursor', page.next] : null, since: page.since });
    found.forEach((item) => place(item, false));
    show();
    if (!found.length && view.next && more > 0) return await older(more - 1);
    $('say').textContent = found.length ? num(found.length) + ' older events' : view.next ? 'No older match so far' : 'No older events';
    if (first && rows.has(keyOf(first)) && $('more').matches(':focus')) rows.get(keyOf(first)).querySelector('a').focus();
  } catch (e) {
    if (e.name !== 'AbortError') problem(e);
  } finally {
    $('more').disabled = false;
  }
}

// show brings the rest of the list in line with its rows.
export function show() {
  const filtered = current().toString() !== '';
  $('table').hidden = rows.size === 0;
  $('hint').hidden = rows.size === 0;
  $('charts').hidden = view.loaded && !filtered && rows.size === 0;
  $('more').hidden = !view.next;
  $('empty').hidden = rows.size > 0 || !view.loaded;
  if (!$('empty').hidden) $('empty').replaceChildren(...(filtered ? noMatch() : howTo()));
  $('pill').hidden = view.waiting.length === 0;
  $('pill').textContent = num(view.waiting.length) + ' new';
  document.title = (view.waiting.length ? `(${view.waiting.length}) ` : '') + 'amp audit';
}

function noMatch() {
  return [
    h('h3', { text: view.next ? 'No match so far' : 'No event matches these filters' }),
    h('p', { text: view.next ? `Nothing since ${backTo(view.since)} matches. Older events may.` : 'Events are deleted after the retention. A namespace with the level None has no events. New events that match appear here without a reload.' }),
    h('button', { type: 'button', text: 'Clear the filters', onclick: () => $('filters').reset() }),
  ];
}

function howTo() {
  const here = new URL('.', location.href).href;
  return [
    h('h3', { text: 'No events yet' }),
    h('p', { text: 'Events appear here, without a reload, as soon as amp sends some. Give amp this address as the sink of its events, as a variable of its Deployment or by a Knative SinkBinding or Trigger:' }),
    h('pre', { tabindex: '0', 'aria-label': 'Setting for amp', text: 'K_SINK=' + here }),
    h('p', { text: 'Or post one by hand, to see what it looks like:' }),
    h('pre', { tabindex: '0', 'aria-label': 'Command that posts an event', text: `curl -i ${here} \\\n  -H 'content-type: application/json' -H 'ce-specversion: 1.0' -H 'ce-id: try-1' \\\n  -H 'ce-source: https://amp.txn2.com/proxy' -H 'ce-type: com.txn2.amp.pod.mutated.v1' \\\n  -d '{"uid":"try-1","level":"Patch","namespace":"jhub","pod":{"name":"jupyter-alice"},"user":"me",
       "operation":"mutate","outcome":"mutated","failurePolicy":"Fail","durationMs":4.2,
       "endpoints":[{"url":"http://hook.jhub.svc/mutate","status":200,"durationMs":3.1,"ops":1}],
       "patch":[{"step":1,"op":"add","path":"/metadata/labels/team","value":"science"}]}'` }),
    h('p', { text: 'amp sends events for Pods in namespaces that have the label amp.txn2.com/enabled=true and name an endpoint. A dry run has no event.' }),
  ];
}
