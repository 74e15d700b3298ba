// One event in full.
import { $, count, h } from './dom.js';
import { duration } from './charts.js';
import { address, current } from './filters.js';
import { differences } from './candidate.js';
import { badge, exactTime, nameOf, ofCandidate, podName, shortTime, userOf } from './words.js';

export function link(item, text) {
  return h('a', { href: address(current(), item), 'data-open': true, text });
}

export function head(item, title, sub) {
  return h('div', { class: 'dhead' },
    h('div', {}, item ? badge(item.outcome) : null, h('h2', { id: 'detailtitle', tabindex: '-1', text: title }), h('p', {}, ...sub)),
    h('button', { type: 'button', 'aria-label': 'Close', text: '✕ Close', onclick: () => $('detail').close() }));
}

// filter is a value that filters the list by a click.
const filter = (name, value, text) => h('button', { type: 'button', class: 'link', 'data-filter': name, 'data-value': value, title: 'Filter by ' + value, text: text || value });

// copier copies a value by a click.
function copier(what, value) {
  const button = h('button', { type: 'button', class: 'copy', 'aria-label': 'Copy ' + what, title: 'Copy ' + what, text: 'Copy', onclick: async () => {
    try { await navigator.clipboard.writeText(value); button.textContent = 'Copied'; } catch { button.textContent = 'Select it by hand'; }
  } });
  return button;
}

function section(title, ...content) {
  return h('section', {}, h('h3', { text: title }), ...content.filter(Boolean));
}

// detail returns the content of the panel. story is the line about the Pod, if there is one.
export function detail(d, story) {
  const item = d.item, data = d.event.data || {}, shadowed = item.outcome === 'shadowed';
  const candidate = ofCandidate(item.outcome), patched = shadowed || item.outcome === 'mutated' || (candidate && d.changes.length > 0);
  const answered = candidate ? 'What the candidate would have answered' : shadowed ? 'What amp would have answered' : 'What amp answered';
  return [
    head(item, podName(item), [copier('the Pod’s name', item.name || item.generateName), ' in ', filter('namespace', item.namespace), ', created by ', filter('user', item.user, userOf(item.user).text), ', ', exactTime(item.time)]),
    story,
    h('div', { class: 'stackv' }, h('p', { class: 'lead', text: lead(d) }), ...fate(d, story)),
    candidate ? section('What differs', differences(data)) : null,
    section(candidate ? 'The call of the candidate' : data.operation === 'validate' ? 'Validation endpoints, in the order of their calls' : 'Endpoints, in the order of their calls', steps(item, data.endpoints || [])),
    d.changes.length ? section(answered, changes(d.changes.filter((c) => c.step !== 0)), own(d.changes.filter((c) => c.step === 0))) :
      patched ? section(answered, h('p', { class: 'note', text: `An event of level ${data.level || 'Metadata'} does not hold the patch. Level Patch does, and shows the values that an allow-list names.` })) : null,
    patched ? section(candidate ? 'The Pod as it came, and as the candidate would have made it' : shadowed ? 'The Pod as it came, and as amp would have answered it' : 'The Pod as it came, and as amp answered it', diff(d.diff)) : null,
    section('About this event', facts(item, data)),
    raw(d),
  ];
}

// lead says in one or two sentences what amp answered.
function lead(d) {
  const item = d.item, data = d.event.data || {}, message = data.message || '';
  const operations = count(item.ops, 'operation', 'operations');
  const denied = item.endpoints.find((c) => c.denied);
  if (ofCandidate(item.outcome)) return `A candidate was asked after amp had answered “${nameOf(data.comparison.answered)}”, which it did not change: ${item.gist}.`;
  switch (item.outcome) {
    case 'mutated': return `amp answered with a patch of ${operations}, after ${duration(item.durationMs)}.`;
    case 'unchanged': return 'The endpoints wanted no change, and amp answered without a patch.';
    case 'shadowed': return 'Shadow mode: amp answered no change. ' + (message ? 'Without shadow mode, amp would have answered this denial or failure: ' + message : `It would have answered ${operations}.`);
    case 'denied': return `${denied ? denied.url : 'An endpoint'} denied this Pod: ${message}`;
    case 'rejected': return 'Something failed and the failure policy is Fail: amp refused this Pod. ' + message;
    case 'failedopen': return 'Something failed and the failure policy is Ignore: amp let the Pod through unchanged. ' + message;
    case 'validated': return '/validate let this Pod pass. ' + message;
  }
  return message;
}

// facts are what the head of the panel does not say.
function facts(item, data) {
  const all = [
    [ofCandidate(item.outcome) ? 'The call took' : 'amp took', duration(item.durationMs)], item.user === userOf(item.user).text ? null : ['Created by', item.user],
    data.pod && data.pod.uid ? ['Pod uid', h('span', {}, data.pod.uid + ' ', copier('the Pod’s uid', data.pod.uid))] : null,
    data.controller ? ['Controller', data.controller.kind + ' ' + data.controller.name] : null,
    data.failurePolicy ? ['Failure policy', data.failurePolicy] : null, ['Level of the event', data.level || 'not given'],
    ['Event id', h('span', {}, h('code', { text: item.id }), ' ', copier('the event’s id', item.id))], ['Source', h('code', { text: item.source })],
  ];
  return h('dl', { class: 'facts' }, ...all.filter(Boolean).map(([k, v]) => h('div', {}, h('dt', { text: k }), h('dd', {}, v))));
}

// fate says what became of the Pod, as far as events tell.
function fate(d, story) {
  const notes = [], item = d.item;
  const note = (outcome, ...content) => notes.push(h('p', { class: 'note' + (outcome ? ' o-' + outcome : '') }, ...content));
  if (item.outcome === 'denied') note('denied', 'This is a decision of the endpoint, not a failure of it or of amp. The failure policy does not matter here.');
  for (const w of (d.event.data || {}).warnings || []) note('failedopen', 'Warning: ' + w);
  for (const v of d.verdicts) {
    note(v.outcome, d.superseded ? 'Another verdict superseded this one. The final one is ' : 'This is the final verdict. It supersedes an earlier one, ',
      link(v, nameOf(v.outcome)), ' at ', shortTime(v.time), '.');
  }
  if (d.beside) {
    note(d.beside.outcome, ofCandidate(item.outcome) ? 'What amp answered is in ' : 'A candidate was asked, too: ', link(d.beside, ofCandidate(item.outcome) ? 'the event of the review' : d.beside.gist), '.');
  }
  if (item.outcome === 'mutated') {
    for (const v of d.seen) {
      note('validated', 'Seen by /validate as ', h('strong', { text: v.name }), v.uid ? h('span', { text: ` (uid ${v.uid})` }) : '', ' at ', shortTime(v.time), ': ', link(v, 'its event'), '. The Pod’s stamp, name and namespace connect the two.');
    }
    if (d.seen.length > 1) note('failedopen', 'More than one Pod has this stamp. Anyone who may create Pods in the namespace can write a stamp, so at most one of these is genuine.');
    if (!d.seen.length && !story) notes.push(h('p', { class: 'sub', text: 'No event of /validate belongs to this one, so it is not known whether the Pod was stored. For such events, label the namespace amp.txn2.com/validate=true.' }));
  }
  if (d.mutation) {
    note(d.mutation.item ? 'mutated' : 'failedopen', 'The Pod’s stamp names event ', h('code', { text: d.mutation.id }),
      ...(d.mutation.item ? [': ', link(d.mutation.item, 'what amp answered for it'), '.'] : [': ' + d.mutation.reason + '.']));
  }
  return notes;
}

// steps shows each call. item.endpoints are the same calls, and say which one denied the Pod.
function steps(item, all) {
  if (!all.length) return h('p', { class: 'note', text: 'amp called no endpoint.' });
  const most = Math.max(item.durationMs, ...all.map((e) => e.durationMs), 0.001);
  return h('ol', { class: 'steps' }, ...all.map((e, i) => {
    const meter = h('i', {}), denied = item.endpoints[i] && item.endpoints[i].denied;
    meter.style.width = Math.min(100, (100 * e.durationMs) / most) + '%';
    return h('li', { class: denied ? 'o-denied denied' : null },
      h('div', { class: 'line1' }, h('span', {}, h('code', {}, filter('endpoint', e.url)), copier('the endpoint’s URL', e.url)), h('strong', { class: 'ms', text: duration(e.durationMs) })),
      h('div', { class: 'meter', 'aria-hidden': 'true' }, meter),
      h('div', { class: 'sub' }, h('span', { text: e.status ? 'HTTP ' + e.status : 'no HTTP answer' }), h('span', { text: count(e.ops || 0, 'operation', 'operations') }),
        denied ? h('strong', { class: 'deny', text: 'denied the Pod' }) : null, e.error ? h('span', { class: 'bad', text: e.error }) : null),
      ...(e.warnings || []).map((w) => h('div', { class: 'sub warning', text: 'Warning: ' + w })));
  }));
}

function changes(all) {
  const marks = { add: ['+', 'm-add'], remove: ['−', 'm-remove'], replace: ['~', 'm-replace'], move: ['→', 'm-replace'], copy: ['+', 'm-add'], test: ['?', 'm-replace'] };
  const several = new Set(all.map((c) => c.step).filter(Boolean)).size > 1;
  return h('ol', { class: 'changes' }, ...all.map((c) => {
    const [mark, cls] = marks[c.op] || ['?', ''];
    const long = c.value !== undefined && c.value !== null && typeof c.value === 'object' && Object.keys(c.value).length > 0;
    return h('li', {}, h('span', { class: 'mark2 ' + cls, 'aria-hidden': 'true', text: mark }), h('div', {},
      h('div', { class: 'words', text: c.words }),
      h('div', { class: 'how' }, h('code', { text: c.op + ' ' + (c.from ? c.from + ' → ' : '') + c.path }),
        several ? h('span', { class: 'own', text: 'by endpoint ' + c.step }) : null,
        c.redacted ? h('span', { class: 'own', text: long ? 'this level shows a part of the value' : 'this level does not show the value' }) : null),
      long ? h('pre', { tabindex: '0', 'aria-label': 'Value', text: pretty(c.value) }) : null));
  }));
}

// pretty writes a value in one line if that is short.
function pretty(value) {
  const line = JSON.stringify(value);
  return line.length <= 90 ? line : JSON.stringify(value, null, 2);
}

// own lists amp's operations behind a click: the stamp and missing parents are no changes that an endpoint asked for.
function own(all) {
  return all.length ? h('details', { class: 'own' }, h('summary', { text: `and ${count(all.length, 'operation', 'operations')} of amp’s own: its stamp, and parents that were missing` }), changes(all)) : null;
}

function diff(d) {
  if (!d.hunks) return h('p', { class: 'note', text: d.reason });
  const body = [];
  for (const hunk of d.hunks) {
    let a = hunk.before, b = hunk.after;
    body.push(h('tr', { class: 'hunk' }, h('td', { colspan: '4', text: hunk.where || `line ${b}` })));
    for (const line of hunk.lines) {
      const cls = { '+': 'plus', '-': 'minus' }[line.op] || '';
      body.push(h('tr', { class: cls }, h('td', { class: 'no', 'aria-hidden': 'true', text: line.op === '+' ? '' : a++ }), h('td', { class: 'no', 'aria-hidden': 'true', text: line.op === '-' ? '' : b++ }),
        h('td', { class: 'op' }, h('span', { 'aria-hidden': 'true', text: line.op }), cls ? h('span', { class: 'sr', text: line.op === '+' ? 'added' : 'removed' }) : null), h('td', { text: line.text })));
    }
  }
  return h('div', { class: 'diff', tabindex: '0', role: 'region', 'aria-label': 'Differences, in YAML' }, h('table', { role: 'presentation' }, h('tbody', {}, ...body)));
}

function raw(d) {
  const text = JSON.stringify(d.event, null, 2);
  return h('details', { class: 'raw' }, h('summary', { text: 'The raw CloudEvent' }), h('pre', { tabindex: '0', 'aria-label': 'Raw CloudEvent', text }),
    h('div', { class: 'actions' }, copier('the event', text), h('a', { class: 'button', href: 'api/events/' + encodeURIComponent(d.item.id) + '?source=' + encodeURIComponent(d.item.source), target: '_blank', rel: 'noopener', text: 'Open as JSON' })));
}
