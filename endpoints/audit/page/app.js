'use strict';
// The page of amp's audit function. What events hold is other people's: it reaches the document as text
// (textContent, text nodes, form values) and never as markup.
(() => {
  const $ = (id) => document.getElementById(id);
  const OUTCOMES = {
    mutated: ['±', 'a patch was answered'], unchanged: ['=', 'the endpoints wanted no change'], shadowed: ['○', 'shadow mode: what would have been'],
    rejected: ['×', 'refused by an endpoint, or by failure under Fail'], failedopen: ['!', 'failed under Ignore: admitted unmutated'], validated: ['✓', '/validate let it pass'],
  };
  const FILTERS = ['namespace', 'pod', 'outcome', 'endpoint', 'user', 'from', 'to'];
  const PAGE = 50, MOST = 500; // rows at once, and at all

  // plain spells out what would make text read otherwise than it is: control characters, and those that turn
  // the direction of writing.
  const plain = (text) => String(text).replace(/[\0-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g, (c) => '\\u' + c.charCodeAt(0).toString(16).padStart(4, '0'));

  // h makes an element: properties first, then children, which are nodes or text.
  function h(tag, props, ...children) {
    const e = document.createElement(tag);
    for (const [k, v] of Object.entries(props || {})) {
      if (v === undefined || v === null || v === false) continue;
      if (k.startsWith('on')) e.addEventListener(k.slice(2), v);
      else if (k === 'text') e.textContent = plain(v);
      else e.setAttribute(k, v === true ? '' : k === 'title' ? plain(v) : v);
    }
    e.append(...children.filter((c) => c !== null && c !== undefined && c !== false).map((c) => (c instanceof Node ? c : plain(c))));
    return e;
  }

  // ---- Words for values

  const today = new Intl.DateTimeFormat('en-CA', { dateStyle: 'short' });
  const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' });
  const date = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short' });
  const medium = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium', hourCycle: 'h23' });
  const full = new Intl.DateTimeFormat(undefined, { dateStyle: 'full', timeStyle: 'long', hourCycle: 'h23' });
  const num = (n) => n.toLocaleString();

  function timeOf(iso) {
    const t = new Date(iso), millis = '.' + String(t.getMilliseconds()).padStart(3, '0');
    const sameDay = today.format(t) === today.format(new Date());
    return h('time', { datetime: iso, title: full.format(t) + '\n' + iso }, sameDay ? clock.format(t) + millis : date.format(t) + ' ' + clock.format(t));
  }

  const podName = (item) => item.name || item.generateName + '*';
  const shortURL = (url) => url.replace(/^https?:\/\//, '');

  // userOf shortens what every ServiceAccount's name begins with.
  function userOf(user) {
    const m = /^system:serviceaccount:([^:]+):([^:]+)$/.exec(user);
    return m ? { text: m[2], sub: 'of ' + m[1] } : { text: user, sub: '' };
  }

  function badge(outcome) {
    return h('span', { class: 'badge o-' + outcome, title: OUTCOMES[outcome] && OUTCOMES[outcome][1] }, h('i', { 'aria-hidden': 'true', text: (OUTCOMES[outcome] || ['?'])[0] }), outcome);
  }

  const keyOf = (item) => item.source + '\n' + item.id;

  // ---- The address holds the filters, and the event that is open

  function current() {
    const all = new URLSearchParams(location.search), q = new URLSearchParams();
    for (const name of FILTERS) for (const v of all.getAll(name)) if (v) q.append(name, v);
    return q;
  }

  function address(q, event) {
    const all = new URLSearchParams(q);
    if (event) { all.set('event', event.id); all.set('source', event.source); }
    const text = all.toString();
    return location.pathname + (text ? '?' + text : '');
  }

  const isAgo = (v) => /^(\d+[dw]|(\d+(\.\d+)?[hms])+)$/.test(v);
  const toLocal = (v) => {
    const t = new Date(v);
    return isNaN(t) ? '' : new Date(t - t.getTimezoneOffset() * 60000).toISOString().slice(0, 19);
  };

  // fill puts the address's filters into the form.
  function fill() {
    const q = current(), form = $('filters').elements;
    for (const name of ['namespace', 'pod', 'endpoint', 'user']) form[name].value = q.get(name) || '';
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

  const ago = (v) => {
    let ms = 0;
    for (const [, n, unit] of v.matchAll(/(\d+(?:\.\d+)?)([wdhms])/g)) ms += n * { w: 604800e3, d: 86400e3, h: 3600e3, m: 60e3, s: 1e3 }[unit];
    return ms;
  };

  function read() {
    const form = $('filters').elements, q = new URLSearchParams();
    for (const name of ['namespace', 'pod', 'endpoint', 'user']) if (form[name].value.trim()) q.set(name, form[name].value.trim());
    const chosen = [...$('outcomes').querySelectorAll('input:checked')].map((b) => b.value);
    if (chosen.length) q.set('outcome', chosen.join(','));
    if (form.range.value === 'between') {
      for (const name of ['from', 'to']) if (form[name].value) q.set(name, new Date(form[name].value).toISOString().replace('.000', ''));
    } else if (form.range.value) q.set('from', form.range.value);
    return q;
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
    $('eventstitle').textContent = n ? 'Newest answers that fit' : 'Newest answers';
  }

  function apply(push) {
    const q = read();
    if (q.toString() !== current().toString()) history[push ? 'pushState' : 'replaceState'](null, '', address(q));
    decorate();
    load();
  }

  // ---- Asking the server

  class Problem extends Error {
    constructor(status, message, body) { super(message); this.status = status; this.body = body; }
  }

  async function ask(path, signal) {
    let response;
    try {
      response = await fetch(path, { headers: { Accept: 'application/json' }, signal, credentials: 'same-origin' });
    } catch (e) {
      if (e.name === 'AbortError') throw e;
      throw new Problem(0, 'The server cannot be reached.');
    }
    let body = {};
    try { body = await response.json(); } catch { /* said by the status */ }
    if (response.status === 401) login();
    if (!response.ok) throw new Problem(response.status, body.error || 'The server answered ' + response.status + '.', body);
    return body;
  }

  function problem(e) {
    $('problem').hidden = !e;
    $('problem').textContent = e ? e.message : '';
  }

  // ---- The list

  const rows = new Map(); // by key
  let next = '', after = '', loading = null, waiting = [], paused = false, loaded = false;

  function row(item) {
    const user = userOf(item.user), target = address(current(), item);
    const tr = h('tr', { role: 'row' },
      h('td', { role: 'cell' }, timeOf(item.time)),
      h('td', { role: 'cell' }, badge(item.outcome)),
      h('td', { role: 'cell' }, h('a', { href: target, text: podName(item) }), h('span', { class: 'sub', text: item.namespace }), ...seenAs(item)),
      h('td', { role: 'cell' }, h('span', { class: 'clip' + (item.outcome === 'rejected' || item.outcome === 'failedopen' ? ' bad' : ''), text: item.gist, title: item.gist })),
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

  function calls(item) {
    if (!item.endpoints.length) return [h('span', { class: 'sub', text: 'none called' })];
    const [first, ...others] = item.endpoints, total = item.endpoints.reduce((n, c) => n + c.durationMs, 0);
    return [
      h('span', { class: 'clip', text: shortURL(first.url), title: item.endpoints.map((c) => c.url).join('\n') }),
      h('span', { class: 'sub ms' + (item.endpoints.some((c) => c.failed) ? ' bad' : '') },
        (others.length ? `and ${others.length} more, ` : '') + charts.duration(total) + (item.endpoints.some((c) => c.failed) ? ', failed' : '')),
    ];
  }

  // place puts an item where its time belongs. It takes the place of what it supersedes.
  function place(item, fresh) {
    const base = item.id.endsWith('/final') ? rows.get(item.source + '\n' + item.id.slice(0, -6)) : null;
    if (base) { rows.delete(keyOf(base.item)); base.remove(); }
    if (rows.has(keyOf(item))) return;
    const tr = row(item);
    if (fresh) tr.classList.add('fresh');
    let at = fresh ? $('rows').firstElementChild : null;
    while (at && Date.parse(at.item.time) > Date.parse(item.time)) at = at.nextElementSibling;
    if (fresh && !at && next) return; // it belongs to a later page
    $('rows').insertBefore(tr, at);
    rows.set(keyOf(item), tr);
    // A validated event says the name of a mutation that may be shown already.
    const mutated = item.outcome === 'validated' && item.mutation && rows.get(item.source + '\n' + item.mutation);
    if (fresh && mutated && mutated.item.namespace === item.namespace && item.name.startsWith(mutated.item.name || mutated.item.generateName.slice(0, 58))) {
      const known = mutated.item.seen || [];
      if (!known.includes(item.name)) {
        mutated.item.seen = known.concat(item.name);
        const focused = mutated.contains(document.activeElement), changed = row(mutated.item);
        mutated.replaceWith(changed);
        rows.set(keyOf(changed.item), changed);
        if (focused) changed.querySelector('a').focus();
      }
    }
  }

  function trim() {
    while (rows.size > MOST) {
      const last = $('rows').lastElementChild;
      rows.delete(keyOf(last.item));
      last.remove();
      // Older ones are read again from the last row that is left, so the server's cursor is of no use.
      next = '';
    }
  }

  async function load() {
    if (loading) loading.abort();
    const mine = (loading = new AbortController());
    closeStream();
    try {
      const page = await ask('api/events?' + withLimit(current()), mine.signal);
      if (mine !== loading) return;
      problem(null);
      rows.clear();
      $('rows').replaceChildren();
      waiting = [];
      loaded = true;
      next = page.next || '';
      after = page.after;
      page.items.forEach((item) => place(item, false));
      show();
      openStream();
      stats();
      if (!page.items.length && next) older(60);
    } catch (e) {
      if (e.name === 'AbortError' || mine !== loading) return;
      if (e.status !== 401) problem(e);
      if (e.status === 0 || e.status >= 500) later();
    }
  }

  const withLimit = (q) => { q.set('limit', PAGE); return q; };

  // older reads the next page, and where the server says so goes on for some more.
  async function older(more) {
    const q = withLimit(current());
    q.set('cursor', next);
    $('more').disabled = true;
    try {
      const page = await ask('api/events?' + q, loading.signal);
      const first = page.items[0];
      next = page.next || '';
      page.items.forEach((item) => place(item, false));
      show();
      if (!page.items.length && next && more > 0) return older(more - 1);
      $('say').textContent = page.items.length ? num(page.items.length) + ' older events' : 'No older events';
      if (first && rows.has(keyOf(first)) && $('more').matches(':focus')) rows.get(keyOf(first)).querySelector('a').focus();
    } catch (e) {
      if (e.name !== 'AbortError') problem(e);
    } finally {
      $('more').disabled = false;
    }
  }

  // show brings the rest of the list in line with its rows.
  function show() {
    const filtered = current().toString() !== '';
    $('table').hidden = rows.size === 0;
    $('hint').hidden = rows.size === 0;
    $('charts').hidden = loaded && !filtered && rows.size === 0;
    $('more').hidden = !next;
    $('empty').hidden = rows.size > 0 || !loaded;
    if (!$('empty').hidden) $('empty').replaceChildren(...(filtered ? noFit() : howTo()));
    $('pill').hidden = waiting.length === 0;
    $('pill').textContent = num(waiting.length) + ' new';
    document.title = (waiting.length ? `(${waiting.length}) ` : '') + 'amp audit';
  }

  function noFit() {
    return [
      h('h3', { text: next ? 'None yet that fits' : 'No event fits these filters' }),
      h('p', { text: next ? 'The newest events have been looked through; older ones may fit.' : 'Events go when they are older than is kept. A namespace whose level is None has none. New ones that fit appear here by themselves.' }),
      h('button', { type: 'button', text: 'Clear the filters', onclick: () => $('filters').reset() }),
    ];
  }

  function howTo() {
    const here = new URL('.', location.href).href;
    return [
      h('h3', { text: 'No events yet' }),
      h('p', { text: 'They appear here by themselves as soon as amp sends some. Give amp this address as the sink of its events, as a variable of its Deployment or by a Knative SinkBinding or Trigger:' }),
      h('pre', { tabindex: '0', 'aria-label': 'Setting for amp', text: 'K_SINK=' + here }),
      h('p', { text: 'Or post one by hand, to see what it looks like:' }),
      h('pre', { tabindex: '0', 'aria-label': 'Command that posts an event', text: `curl -i ${here} \\\n  -H 'content-type: application/json' -H 'ce-specversion: 1.0' -H 'ce-id: try-1' \\\n  -H 'ce-source: https://amp.txn2.com/proxy' -H 'ce-type: com.txn2.amp.pod.mutated.v1' \\\n  -d '{"uid":"try-1","level":"Patch","namespace":"jhub","pod":{"name":"jupyter-alice"},"user":"me",
       "operation":"mutate","outcome":"mutated","failurePolicy":"Fail","durationMs":4.2,
       "endpoints":[{"url":"http://hook.jhub.svc/mutate","status":200,"durationMs":3.1,"ops":1}],
       "patch":[{"step":1,"op":"add","path":"/metadata/labels/team","value":"science"}]}'` }),
      h('p', { text: 'Events are for Pods of namespaces labelled amp.txn2.com/enabled=true that name an endpoint; dry runs have none.' }),
    ];
  }

  // ---- Live

  let source = null, retry = 0, fromServer = 0;

  function state(name, text) {
    $('state').dataset.state = name;
    if ($('state').textContent !== text) $('state').textContent = text;
  }

  function closeStream() {
    clearTimeout(retry);
    if (source) source.close();
    source = null;
  }

  function openStream() {
    closeStream();
    if (document.hidden) return; // a browser has six connections for a server: hidden pages must not hold them
    const q = current();
    q.set('after', after);
    source = new EventSource('api/events/stream?' + q);
    source.onopen = () => live();
    source.onmessage = (e) => { after = e.lastEventId; arrived(JSON.parse(e.data)); };
    source.addEventListener('reset', () => load());
    source.onerror = () => {
      if (source && source.readyState === EventSource.CLOSED) later();
      else state('away', 'Reconnecting');
    };
  }

  function later() {
    closeStream();
    state('away', 'Not connected');
    retry = setTimeout(() => (loaded ? openStream() : load()), 10000);
  }

  const live = () => state(paused ? 'paused' : 'live', paused ? 'Paused' : 'Live');

  // reading tells whether new rows would move what somebody looks at.
  function reading() {
    return paused || $('rows').contains(document.activeElement) || $('detail').open ||
      ($('table').hidden ? $('events') : $('table')).getBoundingClientRect().top < 0 || !getSelection().isCollapsed;
  }

  let batch = [], batching = 0;

  // arrived gathers what comes at once, so that it is one change to the page and one thing to say.
  function arrived(item) {
    batch.push(item);
    clearTimeout(batching);
    if (batch.length < 200) batching = setTimeout(settle, 60);
    else settle();
  }

  function settle() {
    const items = batch.filter((i) => !rows.has(keyOf(i)) && !waiting.some((w) => keyOf(w) === keyOf(i)));
    batch = [];
    if (!items.length) return;
    if (reading()) {
      waiting.push(...items);
      if (waiting.length > 1000) waiting = waiting.slice(-1000);
    } else {
      items.forEach((item) => place(item, true));
      trim();
    }
    show();
    $('say').textContent = items.length === 1 ? `New: ${items[0].outcome}, Pod ${podName(items[0])} in ${items[0].namespace}` : `${items.length} new events`;
    clearTimeout(fromServer);
    fromServer = setTimeout(stats, Math.max(0, 2000 - (Date.now() - asked)));
  }

  function showWaiting() {
    if (waiting.length > PAGE) load(); // more than a page: read it anew
    waiting.splice(0).forEach((item) => place(item, true));
    trim();
    show();
    const first = $('rows').querySelector('a');
    $('events').scrollIntoView({ block: 'start' });
    if (first) first.focus({ preventScroll: true });
  }

  // ---- Charts

  let asked = 0, charting = null, shown = null;

  async function stats() {
    asked = Date.now();
    if (charting) charting.abort();
    charting = new AbortController();
    try {
      shown = await ask('api/stats?' + current(), charting.signal);
      draw();
    } catch { /* the list says what is wrong */ }
  }

  function draw() {
    if (!shown) return;
    const span = (Date.parse(shown.to) - Date.parse(shown.from)) / 1000;
    const text = span >= 2 * 86400 ? Math.round(span / 86400) + ' days' : span >= 5400 ? Math.round(span / 3600) + ' hours' : Math.round(span / 60) + ' minutes';
    $('outcomechart').querySelector('.span').textContent = text + (shown.complete ? '' : ', only the newest are counted');
    charts.outcomes($('outcomechart').querySelector('.plot'), shown, pick);
    charts.latency($('latencychart').querySelector('.plot'), shown);
    const used = shown.outcomes.filter((o) => shown.buckets.some((b) => b.counts[o]));
    const busy = charts.buckets(shown).filter((b) => b.calls || Object.keys(b.counts).length);
    $('outcomechart').querySelector('.data > div').replaceChildren(busy.length ? table('Answers by outcome', ['Time', ...used],
      busy.map((b) => [charts.when(b), ...used.map((o) => num(b.counts[o] || 0))])) : h('p', { text: 'Nothing was answered in this time.' }));
    $('latencychart').querySelector('.data > div').replaceChildren(...(shown.endpoints.length ? [
      table('Latency by endpoint', ['Endpoint', 'Calls', 'Failed', 'p50', 'p99'],
        shown.endpoints.map((e) => [e.url, num(e.calls), num(e.errors), charts.duration(e.p50), charts.duration(e.p99)])),
      table('Latency over time', ['Time', 'Calls', 'p50', 'p99'],
        busy.filter((b) => b.calls).map((b) => [charts.when(b), num(b.calls), charts.duration(b.p50), charts.duration(b.p99)]))]
      : [h('p', { text: 'No endpoint was called in this time.' })]));
  }

  function table(caption, head, body) {
    const cls = (i) => (i === 0 && head[0] === 'Endpoint' ? 'url' : null);
    return h('table', { class: 'plain' }, h('caption', { class: 'sr', text: caption }),
      h('thead', {}, h('tr', {}, ...head.map((t, i) => h('th', { scope: 'col', class: cls(i), text: t })))),
      h('tbody', {}, ...body.map((r) => h('tr', {}, ...r.map((t, i) => h('td', { class: cls(i), text: t }))))));
  }

  function pick(b) {
    const form = $('filters').elements;
    form.range.value = 'between';
    form.from.value = toLocal(b.t);
    form.to.value = toLocal(b.end);
    apply(true);
  }

  // ---- One event in full

  let opening = null, revealed = '';
  const addressed = () => { const q = new URLSearchParams(location.search); return q.get('source') + '\n' + q.get('event'); };

  async function open(id, from) {
    if (opening) opening.abort();
    const mine = (opening = new AbortController());
    try {
      const d = await ask('api/events/' + encodeURIComponent(id) + (from ? '?source=' + encodeURIComponent(from) : ''), mine.signal);
      if (mine === opening) reveal(detail(d));
    } catch (e) {
      if (e.name === 'AbortError' || e.status === 401) return;
      const choices = e.status === 300 && e.body.sources ? h('ul', { class: 'stackv' }, ...e.body.sources.map((s) => h('li', {}, link({ id, source: s }, s)))) : null;
      reveal([head(null, 'This event cannot be shown', id), h('p', { class: 'note', text: e.message }), choices]);
    }
  }

  function reveal(content) {
    $('detailbody').replaceChildren(...content.filter(Boolean));
    if (!$('detail').open) $('detail').showModal();
    revealed = addressed();
    $('detail').scrollTop = 0;
    $('detailbody').querySelector('h2').focus();
  }

  // closed puts the address and the focus back.
  function closed() {
    const tr = rows.get(revealed);
    if (new URLSearchParams(location.search).has('event')) {
      if (addressed() !== revealed) return; // another is about to open
      if (opening) opening.abort();
      history.pushState(null, '', address(current()));
    }
    if (tr) tr.querySelector('a').focus();
    document.title = 'amp audit';
    show();
  }

  function link(item, text) {
    return h('a', { href: address(current(), item), 'data-open': true, text });
  }

  function head(item, title, sub) {
    return h('div', { class: 'dhead' },
      h('div', {}, item ? badge(item.outcome) : null, h('h2', { id: 'detailtitle', tabindex: '-1', text: title }), h('p', { text: sub })),
      h('button', { type: 'button', 'aria-label': 'Close', text: '✕ Close', onclick: () => $('detail').close() }));
  }

  function section(title, ...content) {
    return h('section', {}, h('h3', { text: title }), ...content);
  }

  const count = (n, one, many) => `${num(n)} ${n === 1 ? one : many}`;

  function detail(d) {
    const item = d.item, data = d.event.data || {};
    const n = d.changes.length || item.ops, message = data.message || '';
    const lead = {
      mutated: `amp answered with a patch of ${count(n, 'operation', 'operations')}, after ${charts.duration(item.durationMs)}.`,
      unchanged: 'The endpoints wanted no change, and amp answered none.',
      shadowed: `Shadow mode: amp answered no change. It would have answered ${count(n, 'operation', 'operations')}.`,
      rejected: 'amp refused this Pod. ' + message,
      failedopen: 'The mutation failed and the failure policy is Ignore: amp let the Pod pass as it was. ' + message,
      validated: '/validate let this Pod pass. ' + message,
    }[item.outcome] || message;
    const user = userOf(item.user), t = new Date(item.time);
    const facts = [
      ['Created by', h('span', { text: item.user })], ['When', h('time', { datetime: item.time, title: full.format(t) + '\n' + item.time, text: medium.format(t) + '.' + String(t.getMilliseconds()).padStart(3, '0') })],
      ['amp took', charts.duration(item.durationMs)],
      ['Namespace', item.namespace], [item.name ? 'Pod' : 'Pod, its name yet to be made', podName(item)], data.pod && data.pod.uid ? ['Pod uid', data.pod.uid] : null,
      data.controller ? ['Controller', data.controller.kind + ' ' + data.controller.name] : null,
      data.failurePolicy ? ['Failure policy', data.failurePolicy] : null, ['Level of the event', data.level || 'not said'],
      ['Event id', h('code', { text: item.id })], ['Source', h('code', { text: item.source })],
    ].filter(Boolean);
    document.title = podName(item) + ' · amp audit';
    return [
      head(item, podName(item), [item.namespace, user.text, medium.format(t)].join(' · ')),
      h('div', { class: 'stackv' }, h('p', { class: 'lead', text: lead }), ...fate(d)),
      h('dl', { class: 'facts' }, ...facts.map(([k, v]) => h('div', {}, h('dt', { text: k }), h('dd', {}, v)))),
      section(item.outcome === 'validated' ? 'Validation endpoints' : 'Endpoints, in the order of their calls', steps(data.endpoints || [], item.durationMs)),
      d.changes.length ? section(item.outcome === 'shadowed' ? 'What amp would have answered' : 'What amp answered', changes(d.changes)) :
        ['mutated', 'shadowed'].includes(item.outcome) ? section('What amp answered', h('p', { class: 'note', text: `An event of level ${data.level || 'Metadata'} does not hold the patch. Level Patch does, with values by an allow-list.` })) : null,
      ['mutated', 'shadowed'].includes(item.outcome) ? section(item.outcome === 'shadowed' ? 'The Pod as it came, and as it would have been answered' : 'The Pod as it came, and as amp answered it', diff(d.diff)) : null,
      raw(d),
    ];
  }

  // fate says what became of an answer, as far as events tell.
  function fate(d) {
    const notes = [], item = d.item;
    for (const w of (d.event.data || {}).warnings || []) notes.push(h('p', { class: 'note o-failedopen', text: 'Warning: ' + w }));
    for (const v of d.verdicts) {
      notes.push(h('p', { class: 'note o-' + v.outcome }, d.superseded ? 'This verdict was superseded: the final one is ' : 'This is the final verdict. It supersedes an earlier one, ',
        link(v, v.outcome), ' at ', timeOf(v.time), '.'));
    }
    if (item.outcome === 'mutated') {
      for (const v of d.seen) {
        notes.push(h('p', { class: 'note o-validated' }, 'Seen by /validate as ', h('strong', { text: v.name }), v.uid ? h('span', { text: ` (uid ${v.uid})` }) : '', ' at ', timeOf(v.time), ': ', link(v, 'its event'), '. The link is by the Pod’s stamp, name and namespace.'));
      }
      if (d.seen.length > 1) notes.push(h('p', { class: 'note o-failedopen', text: 'More than one Pod bears this stamp. Anyone who may create Pods there can write it, so all but one of them did.' }));
      if (!d.seen.length) notes.push(h('p', { class: 'note', text: 'Not seen by /validate, so nothing here says whether, or under which name, this Pod was stored. Namespaces labelled amp.txn2.com/validate=true have their Pods seen.' }));
    }
    if (d.mutation) {
      notes.push(h('p', { class: 'note o-' + (d.mutation.item ? 'mutated' : 'failedopen') }, 'The Pod’s stamp names event ', h('code', { text: d.mutation.id }),
        ...(d.mutation.item ? [': ', link(d.mutation.item, 'what amp answered for it'), '.'] : [': ' + d.mutation.reason + '.'])));
    }
    return notes;
  }

  function steps(all, total) {
    if (!all.length) return h('p', { class: 'note', text: 'No endpoint was called.' });
    const most = Math.max(total, ...all.map((e) => e.durationMs), 0.001);
    return h('ol', { class: 'steps' }, ...all.map((e) => {
      const meter = h('i', {});
      meter.style.width = Math.min(100, (100 * e.durationMs) / most) + '%';
      return h('li', {},
        h('div', { class: 'line1' }, h('code', { text: e.url }), h('strong', { class: 'ms', text: charts.duration(e.durationMs) })),
        h('div', { class: 'meter', 'aria-hidden': 'true' }, meter),
        h('div', { class: 'sub' }, h('span', { text: e.status ? 'HTTP ' + e.status : 'no HTTP answer' }), h('span', { text: count(e.ops || 0, 'operation', 'operations') }), e.error ? h('span', { class: 'bad', text: e.error }) : null),
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
          c.step === 0 ? h('span', { class: 'own', text: 'amp’s own' }) : several ? h('span', { class: 'own', text: 'by endpoint ' + c.step }) : null,
          c.redacted ? h('span', { class: 'own', text: long ? 'value shown in part at this level' : 'value not shown at this level' }) : null),
        long ? h('details', {}, h('summary', { text: 'Value' }), h('pre', { tabindex: '0', text: JSON.stringify(c.value, null, 2) })) : null));
    }));
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
    const copy = h('button', { type: 'button', text: 'Copy', onclick: async () => {
      try { await navigator.clipboard.writeText(text); copy.textContent = 'Copied'; } catch { copy.textContent = 'Select it by hand'; }
    } });
    return h('details', { class: 'raw' }, h('summary', { text: 'The raw CloudEvent' }), h('pre', { tabindex: '0', 'aria-label': 'Raw CloudEvent', text }),
      h('div', { class: 'actions' }, copy, h('a', { class: 'button', href: 'api/events/' + encodeURIComponent(d.item.id) + '?source=' + encodeURIComponent(d.item.source), target: '_blank', rel: 'noopener', text: 'Open as JSON' })));
  }

  // follow opens or closes what the address says.
  function follow() {
    const q = new URLSearchParams(location.search);
    if (q.get('event')) open(q.get('event'), q.get('source'));
    else if ($('detail').open) $('detail').close();
  }

  // ---- Logging in

  function login() {
    state('away', 'Log in to read');
    closeStream();
    if (!$('login').open) $('login').showModal();
  }

  $('loginform').addEventListener('submit', async (e) => {
    e.preventDefault();
    const field = e.target.elements.token;
    try {
      const response = await fetch('login', { method: 'POST', body: new URLSearchParams({ token: field.value }) });
      if (!response.ok) throw new Problem(response.status, response.status === 401 ? 'That is not the token.' : 'The server answered ' + response.status + '.');
      field.value = '';
      $('loginproblem').hidden = true;
      $('login').close();
      start();
    } catch (err) {
      $('loginproblem').textContent = err instanceof Problem ? err.message : 'The server cannot be reached.';
      $('loginproblem').hidden = false;
      field.select();
    }
  });
  $('login').addEventListener('cancel', (e) => e.preventDefault()); // there is nothing behind it
  $('logout').addEventListener('click', async () => { await fetch('logout', { method: 'POST' }); location.reload(); });

  // ---- What people do

  for (const [o, [, meaning]] of Object.entries(OUTCOMES)) {
    $('outcomes').append(h('label', { class: 'chip o-' + o, title: meaning }, h('input', { type: 'checkbox', name: 'outcome', value: o }), o));
  }
  let typing = 0;
  $('filters').addEventListener('input', (e) => {
    clearTimeout(typing);
    if (e.target.name === 'range' && e.target.value === 'between') { $('between').hidden = false; $('clear').disabled = false; return; }
    typing = setTimeout(() => apply(false), e.target.matches('select, [type=checkbox]') ? 0 : 300);
  });
  $('filters').addEventListener('submit', (e) => { e.preventDefault(); clearTimeout(typing); apply(true); });
  $('filters').addEventListener('reset', () => setTimeout(() => { $('filters').elements.range.value = ''; apply(true); }));
  $('more').addEventListener('click', () => older(3));
  $('pill').addEventListener('click', showWaiting);
  $('pause').addEventListener('click', () => {
    paused = !paused;
    $('pause').setAttribute('aria-pressed', paused);
    $('pause').textContent = paused ? 'Resume' : 'Pause';
    if (source && source.readyState === EventSource.OPEN) live();
    if (!paused && waiting.length && !reading()) { waiting.splice(0).forEach((item) => place(item, true)); trim(); show(); }
  });

  document.addEventListener('click', (e) => {
    if (e.defaultPrevented || e.button || e.metaKey || e.ctrlKey || e.shiftKey || e.altKey) return;
    const tr = e.target.closest('#rows tr'), a = e.target.closest('a[data-open], #rows a');
    if (!a && (!tr || !getSelection().isCollapsed)) return;
    e.preventDefault();
    const target = new URL(a ? a.href : tr.querySelector('a').href);
    if (target.href !== location.href) history.pushState(null, '', target);
    follow();
  });
  $('rows').addEventListener('keydown', (e) => {
    const tr = e.target.closest('tr');
    if (!tr || e.ctrlKey || e.metaKey || e.altKey) return;
    const to = { ArrowDown: tr.nextElementSibling, j: tr.nextElementSibling, ArrowUp: tr.previousElementSibling, k: tr.previousElementSibling, Home: $('rows').firstElementChild, End: $('rows').lastElementChild }[e.key];
    if (to) { e.preventDefault(); to.querySelector('a').focus(); }
  });
  $('detail').addEventListener('close', closed);
  $('detail').addEventListener('click', (e) => { if (e.target === $('detail')) $('detail').close(); }); // beside it
  window.addEventListener('popstate', () => {
    const before = $('export').href;
    fill();
    if ($('export').href !== before) load();
    follow();
  });
  document.addEventListener('visibilitychange', () => {
    if (document.hidden) closeStream();
    else if (loaded && !source) openStream();
  });
  let resizing = 0;
  new ResizeObserver(() => { clearTimeout(resizing); resizing = setTimeout(draw, 80); }).observe($('outcomechart'));
  setInterval(() => { if (!document.hidden && loaded) stats(); }, 30000);

  async function start() {
    fill();
    load();
    follow();
    try {
      const values = await ask('api/values');
      $('logout').hidden = !values.session;
      for (const name of ['namespaces', 'endpoints', 'users']) $(name).replaceChildren(...values[name].map((v) => h('option', { value: v })));
    } catch { /* the form works without */ }
  }

  if (matchMedia('(max-width: 640px)').matches) $('filterbox').open = false; // the count says that there are some
  start();
})();
