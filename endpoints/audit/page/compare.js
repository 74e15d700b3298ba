// What changed at a time: the same counts before it and after it.
import { $, h, num } from './dom.js';
import { duration, none, when } from './charts.js';
import { current, toLocal } from './filters.js';
import { endpointsOf, failuresBetween, namespacesOf, tally } from './failures.js';
import { ask } from './server.js';
import { nameOf, shortURL } from './words.js';

// Without a filter, stats go by whole minutes, and latencies of more than six hours by whole hours. A moment within one of those
// would be in both ranges, so the moment is the beginning of one.
const MINUTE = 60e3, HOUR = 3600e3;
const floor = (t, width) => Math.floor(t / width) * width;

// side reads what happened in one of the two ranges.
async function side({ t, end }, signal) {
  const q = current(), from = new Date(t).toISOString(), to = new Date(end).toISOString();
  q.set('from', from);
  q.set('to', to);
  const [stats, failures] = await Promise.all([ask('api/stats?' + q, signal), failuresBetween(current(), from, to, signal)]);
  const sum = (o) => stats.buckets.reduce((n, b) => n + (b.counts[o] || 0), 0);
  return {
    outcomes: new Map(stats.outcomes.map((o) => [o, sum(o)])), endpoints: new Map(stats.endpoints.map((e) => [e.url, e])),
    failed: new Map(tally(endpointsOf(failures.items))), namespaces: new Map(tally(namespacesOf(failures.items))),
    whole: stats.complete && failures.all, more: stats.moreEndpoints,
  };
}

// lines pairs what both sides have.
function* lines(before, after) {
  const both = (a, b) => new Set([...a.keys(), ...b.keys()]);
  for (const o of both(before.outcomes, after.outcomes)) {
    const [a, b] = [before.outcomes.get(o) || 0, after.outcomes.get(o) || 0];
    if (a || b) yield [nameOf(o), num(a), num(b), ['denied', 'rejected', 'failedopen'].includes(o) && b > 1.5 * a];
  }
  for (const url of both(before.endpoints, after.endpoints)) {
    const [a, b] = [before.endpoints.get(url), after.endpoints.get(url)];
    const missing = (side) => (side.more ? '–' : 'no call');
    yield ['p99 of ' + shortURL(url), a ? duration(a.p99) : missing(before), b ? duration(b.p99) : missing(after), a && b && b.p99 > 1.5 * a.p99];
  }
  for (const [name, a, b] of [['failures of ', before.failed, after.failed], ['failures in namespace ', before.namespaces, after.namespaces]]) {
    for (const v of both(a, b)) yield [name + shortURL(v), num(a.get(v) || 0), num(b.get(v) || 0), (b.get(v) || 0) > 1.5 * (a.get(v) || 0)];
  }
}

async function compare(at, seconds, signal) {
  const width = seconds * 1000, middle = floor(Date.parse(at), width > 6 * HOUR ? HOUR : MINUTE);
  const ranges = [{ t: middle - width, end: middle }, { t: middle, end: middle + width }];
  const [before, after] = await Promise.all(ranges.map((range) => side(range, signal)));
  const all = [...lines(before, after)].map(([what, a, b, worse]) => h('tr', { class: worse ? 'worse' : null },
    h('td', { class: 'url' }, what, worse ? h('span', { class: 'sr', text: ', worse' }) : null), h('td', { text: a }), h('td', { text: b })));
  const whole = before.whole && after.whole;
  if (!all.length) return [h('p', { class: 'sub', text: none(whole, 'amp answered nothing in this time.') })];
  return [
    whole ? null : h('p', { class: 'sub', text: 'There are so many events that only the newest are counted.' }),
    before.more || after.more ? h('p', { class: 'sub', text: 'There may be more endpoints than these.' }) : null,
    h('table', { class: 'plain' }, h('caption', { class: 'sr', text: 'Before and after' }),
      h('thead', {}, h('tr', {}, h('th', { scope: 'col', text: 'What' }), ...['Before', 'After'].map((text, i) => h('th', { scope: 'col' }, text, h('span', { class: 'sub', text: when(ranges[i]) + (ranges[i].end > Date.now() ? ', so far' : '') }))))), h('tbody', {}, ...all)),
  ];
}

let comparing = null;
$('compareform').addEventListener('submit', async (e) => {
  e.preventDefault();
  const { at, width } = e.target.elements;
  if (comparing) comparing.abort();
  const mine = (comparing = new AbortController());
  let content;
  try { content = await compare(at.value, +width.value, mine.signal); } catch (err) { content = [h('p', { class: 'problem', text: err.message })]; }
  if (mine === comparing) $('comparison').replaceChildren(...content.filter(Boolean));
});
$('compare').addEventListener('toggle', () => { const { at } = $('compareform').elements; if (!at.value) at.value = toLocal(floor(Date.now() - 15 * MINUTE, MINUTE)); });
