// Where it fails: the endpoints and the namespaces of the newest failures.
import { $, count, h, num } from './dom.js';
import { newest } from './server.js';
import { backTo, shortURL } from './words.js';

const FAILED = ['rejected', 'failedopen'];
const COUNTED = 200; // failures, the newest
const SHOWN = 5;

// failuresBetween returns the newest failures of a range of time that fit the filters, as newest does.
export async function failuresBetween(filters, from, to, signal) {
  const q = new URLSearchParams(filters);
  const wanted = q.getAll('outcome').flatMap((v) => v.split(',')).filter((o) => FAILED.includes(o));
  if (q.has('outcome') && !wanted.length) return { items: [], all: true };
  q.set('outcome', (wanted.length ? wanted : FAILED).join(','));
  q.set('from', from);
  q.set('to', to);
  return newest(q, COUNTED, signal);
}

// tally counts values, the most frequent first.
export function tally(values) {
  const n = new Map();
  for (const v of values) n.set(v, (n.get(v) || 0) + 1);
  return [...n].sort((a, b) => b[1] - a[1]);
}

export const endpointsOf = (items) => items.flatMap((i) => i.endpoints.filter((c) => c.failed).map((c) => c.url));
export const namespacesOf = (items) => items.map((i) => i.namespace);

function top(title, name, all, spell) {
  return h('div', {}, h('h3', { text: title }), h('ol', {}, ...all.slice(0, SHOWN).map(([value, n]) => h('li', {},
    h('button', { type: 'button', class: 'link', 'data-filter': name, 'data-value': value, title: 'Filter by ' + value, text: spell(value) }), h('strong', { text: num(n) })))));
}

// showFailures shows the top endpoints and namespaces by failures, in the range of time of the charts.
export async function showFailures(filters, stats, signal) {
  const { items, all, since } = await failuresBetween(filters, stats.from, stats.to, signal);
  const number = count(items.length, 'failure', 'failures'), short = !all && items.length < COUNTED;
  const found = !items.length ? (all ? 'Nothing failed in this time' : 'No failure') : all || short ? number : 'The newest ' + number;
  const text = found + (short ? ` back to ${backTo(since)}. What is older was not searched.` : '.') + (items.length ? ' Denials are decisions, and do not count.' : '');
  const endpoints = tally(endpointsOf(items));
  $('failures').querySelector('div').replaceChildren(h('p', { class: 'sub', text }), ...(items.length ? [h('div', { class: 'columns' },
    endpoints.length ? top('Endpoints', 'endpoint', endpoints, shortURL) : null, top('Namespaces', 'namespace', tally(namespacesOf(items)), (v) => v))] : []));
}
