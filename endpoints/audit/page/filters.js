// The filters: in the page's address, and in the form. The address also says which event is open.
import { $ } from './dom.js';

const FILTERS = ['namespace', 'pod', 'outcome', 'endpoint', 'user', 'from', 'to'];
const TEXTS = ['namespace', 'pod', 'endpoint', 'user'];

// current returns the filters in the address.
export function current() {
  const all = new URLSearchParams(location.search), q = new URLSearchParams();
  for (const name of FILTERS) for (const v of all.getAll(name)) if (v) q.append(name, v);
  return q;
}

// address returns the address of the page with filters, and with an event open if there is one.
export function address(q, event) {
  const all = new URLSearchParams(q);
  if (event) { all.set('event', event.id); all.set('source', event.source); }
  const text = all.toString();
  return location.pathname + (text ? '?' + text : '');
}

const isAgo = (v) => /^(\d+[dw]|(\d+(\.\d+)?[hms])+)$/.test(v);

const ago = (v) => {
  let ms = 0;
  for (const [, n, unit] of v.matchAll(/(\d+(?:\.\d+)?)([wdhms])/g)) ms += n * { w: 604800e3, d: 86400e3, h: 3600e3, m: 60e3, s: 1e3 }[unit];
  return ms;
};

// begins is when the filters' range of time begins, in milliseconds. 0: nothing says so.
export const begins = (q) => {
  const from = q.get('from');
  return !from ? 0 : isAgo(from) ? Date.now() - ago(from) : Date.parse(from);
};

// toLocal spells a time as a field of the form holds it.
export const toLocal = (v) => {
  const t = new Date(v);
  return isNaN(t) ? '' : new Date(t - t.getTimezoneOffset() * 60000).toISOString().slice(0, 19);
};

// fill puts the address's filters into the form.
export function fill() {
  const q = current(), form = $('filters').elements;
  for (const name of TEXTS) form[name].value = q.get(name) || '';
  const from = q.get('from') || '', to = q.get('to') || '';
  form.from.value = form.to.value = '';
  if (!from && !to) form.range.value = '';
  else if (isAgo(from) && !to) {
    if (![...form.range.options].some((o) => o.value === from)) form.range.add(new Option('last ' + from, from), form.range.options[1]);
    form.range.value = from;
  } else {
    form.range.value = 'between';
    form.from.value = from ? toLocal(isAgo(from) ? Date.now() - ago(from) : from) : '';
    form.to.value = to ? toLocal(isAgo(to) ? Date.now() - ago(to) : to) : '';
  }
  const chosen = q.getAll('outcome').flatMap((v) => v.split(','));
  for (const box of $('outcomes').querySelectorAll('input')) box.checked = chosen.includes(box.value);
  decorate();
}

// between puts a range of time into the form.
export function between(from, to) {
  const form = $('filters').elements;
  form.range.value = 'between';
  form.from.value = toLocal(from);
  form.to.value = toLocal(to);
}

// filterBy puts one value into the form.
export function filterBy(name, value) {
  const form = $('filters').elements;
  if (name === 'outcome') for (const box of $('outcomes').querySelectorAll('input')) box.checked = box.value === value;
  else form[name].value = value;
}

// read returns the filters in the form.
function read() {
  const form = $('filters').elements, q = new URLSearchParams();
  for (const name of TEXTS) if (form[name].value.trim()) q.set(name, form[name].value.trim());
  const chosen = [...$('outcomes').querySelectorAll('input:checked')].map((b) => b.value);
  if (chosen.length) q.set('outcome', chosen.join(','));
  if (form.range.value === 'between') {
    for (const name of ['from', 'to']) if (form[name].value) q.set(name, new Date(form[name].value).toISOString().replace('.000', ''));
  } else if (form.range.value) q.set('from', form.range.value);
  return q;
}

// toAddress puts the form's filters into the address.
export function toAddress(push) {
  const q = read();
  if (q.toString() !== current().toString()) history[push ? 'pushState' : 'replaceState'](null, '', address(q));
  decorate();
}

// decorate shows what follows from the filters.
function decorate() {
  const q = current(), n = new Set([...q.keys()].map((k) => (k === 'to' ? 'from' : k))).size;
  $('between').hidden = $('filters').elements.range.value !== 'between';
  $('clear').disabled = n === 0 && $('between').hidden;
  $('filtercount').hidden = n === 0;
  $('filtercount').textContent = n;
  const e = new URLSearchParams(q);
  e.set('format', 'ndjson');
  $('export').href = 'api/events?' + e;
  $('eventstitle').textContent = n ? 'Newest answers that match' : 'Newest answers';
}
