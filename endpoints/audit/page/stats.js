// The charts' numbers: asked for, drawn, and as tables.
import { $, h, num } from './dom.js';
import * as charts from './charts.js';
import { between, current } from './filters.js';
import { showFailures } from './failures.js';
import { ask } from './server.js';
import { nameOf, ofCandidate, shortURL } from './words.js';

let asked = 0, charting = null, shown = null, soon = 0;
let onPick = () => {};

// whenPicked sets what to do after a click has put a bucket's range of time into the form.
export const whenPicked = (f) => { onPick = f; };

export async function stats() {
  asked = Date.now();
  if (charting) charting.abort();
  const mine = (charting = new AbortController());
  try {
    shown = await ask('api/stats?' + current(), mine.signal);
    draw();
    await showFailures(current(), shown, mine.signal);
  } catch { /* the list says what is wrong */ } finally {
    if (mine === charting) charting = null;
  }
}

// statsSoon asks at most every two seconds, and not before the last answer is there: else steady arrivals would end each search
// that takes longer. wait is the least wait, in milliseconds.
export function statsSoon(wait = 0) {
  clearTimeout(soon);
  soon = setTimeout(() => (charting ? statsSoon(200) : stats()), Math.max(wait, 2000 - (Date.now() - asked)));
}

const nothing = (text) => h('p', { text });

function draw() {
  if (!shown) return;
  const span = (Date.parse(shown.to) - Date.parse(shown.from)) / 1000;
  const text = span >= 2 * 86400 ? Math.round(span / 86400) + ' days' : span >= 5400 ? Math.round(span / 3600) + ' hours' : Math.round(span / 60) + ' minutes';
  $('outcomechart').querySelector('.span').textContent = text + (shown.complete ? '' : ', only the newest are counted');
  const answers = shown.outcomes.filter((o) => !ofCandidate(o)), candidates = shown.outcomes.filter(ofCandidate);
  bars('outcomechart', answers, 'Answers by outcome', 'amp answered nothing in this time.');
  $('candidatechart').hidden = !candidates.some((o) => shown.buckets.some((b) => b.counts[o]));
  if (!$('candidatechart').hidden) bars('candidatechart', candidates, 'Candidates, by whether they agree', 'No candidate was called in this time.');
  $('latencychart').querySelector('.span').textContent = 'p99, logarithmic' + (shown.moreEndpoints ? ', perhaps not of all endpoints' : '');
  const lines = charts.latency($('latencychart').querySelector('.plot'), shown);
  $('lines').replaceChildren(...lines.map((e, i) => h('li', {}, h('i', { class: 'series' + i }),
    h('button', { type: 'button', class: 'link', 'data-filter': 'endpoint', 'data-value': e.url, title: 'Filter by ' + e.url, text: shortURL(e.url) }), ' ' + charts.duration(e.p99))));
  $('latencychart').querySelector('.data > div').replaceChildren(...(shown.endpoints.length ? [
    ...(shown.moreEndpoints ? [h('p', { text: 'There may be more endpoints. Without a filter, these are the ones that were seen last, and one with more calls may be missing. With a filter, they are the ones with the most calls.' })] : []),
    table('Latency by endpoint', ['Endpoint', 'Calls', 'Failed', 'p50', 'p99'],
      shown.endpoints.map((e) => [e.url, num(e.calls), num(e.errors), charts.duration(e.p50), charts.duration(e.p99)])),
    ...lines.map((e) => table('Latency over time of ' + e.url, [shortURL(e.url), 'Calls', 'p50', 'p99'],
      e.times.map((b) => [charts.when({ t: Date.parse(b.start), end: Date.parse(b.start) + shown.bucketSeconds * 1000 }), num(b.calls), charts.duration(b.p50), charts.duration(b.p99)])))]
    : [nothing(charts.noCall(shown))]));
}

// bars shows some outcomes over time, as a chart and as a table.
function bars(figure, order, caption, none) {
  const empty = charts.none(shown.complete, none);
  charts.outcomes($(figure).querySelector('.plot'), shown, order, empty, (b) => { between(b.t, b.end); onPick(); });
  const used = order.filter((o) => shown.buckets.some((b) => b.counts[o]));
  const busy = charts.buckets(shown).filter((b) => used.some((o) => b.counts[o]));
  $(figure).querySelector('.data > div').replaceChildren(busy.length ? table(caption, ['Time', ...used.map(nameOf)],
    busy.map((b) => [charts.when(b), ...used.map((o) => num(b.counts[o] || 0))])) : nothing(empty));
}

function table(caption, head, body) {
  const cls = (i) => (i === 0 && head[0] !== 'Time' ? 'url' : null);
  return h('table', { class: 'plain' }, h('caption', { class: 'sr', text: caption }),
    h('thead', {}, h('tr', {}, ...head.map((t, i) => h('th', { scope: 'col', class: cls(i), text: t })))),
    h('tbody', {}, ...body.map((r) => h('tr', {}, ...r.map((t, i) => h('td', { class: cls(i), text: t }))))));
}

let resizing = 0;
new ResizeObserver(() => { clearTimeout(resizing); resizing = setTimeout(draw, 80); }).observe($('outcomechart'));
