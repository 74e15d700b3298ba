// A Pod's whole story on one line: every event about it, in the order of time.
import { h } from './dom.js';
import { address, current } from './filters.js';
import { newest } from './server.js';
import { badge, keyOf, shortTime } from './words.js';

const AROUND = 30e3; // a Pod is answered and validated within seconds; its name may be used again later

// related returns the events about the Pod that d is about, oldest first. Where amp answered before the Pod had a name, only
// those count to which the event itself leads: other Pods have the same generateName.
async function related(d, signal) {
  const all = [d.item, ...d.verdicts, ...d.seen, d.beside, d.mutation && d.mutation.item].filter(Boolean);
  const name = d.item.name || (d.seen.length === 1 ? d.seen[0].name : '');
  if (name) {
    const t = Date.parse(d.item.time), q = new URLSearchParams({ namespace: d.item.namespace, pod: name });
    q.set('from', new Date(t - AROUND).toISOString());
    q.set('to', new Date(t + AROUND).toISOString());
    all.push(...(await newest(q, 50, signal)).items.filter((i) => i.name === name && i.namespace === d.item.namespace));
  }
  return [...new Map(all.map((i) => [keyOf(i), i])).values()].sort((a, b) => Date.parse(a.time) - Date.parse(b.time));
}

// story returns the line, or nothing where the event stands alone.
export async function story(d, signal) {
  let all;
  try { all = await related(d, signal); } catch (e) { if (e.name === 'AbortError') throw e; return null; }
  if (all.length < 2) return null;
  return h('ol', { class: 'story', 'aria-label': 'All events about this Pod' }, ...all.map((i) => h('li', { 'aria-current': keyOf(i) === keyOf(d.item) ? 'true' : null },
    h('a', { href: address(current(), i), 'data-open': true }, badge(i.outcome), ' ', shortTime(i.time)))));
}
