// The panel that shows one event in full: opening, closing and the address.
import { $, h } from './dom.js';
import { detail, head, link } from './detail.js';
import { address, current } from './filters.js';
import { rows, show } from './list.js';
import { ask } from './server.js';
import { story } from './story.js';
import { podName } from './words.js';

let opening = null, revealed = '';
const addressed = () => { const q = new URLSearchParams(location.search); return q.get('source') + '\n' + q.get('event'); };

async function open(id, source) {
  if (opening) opening.abort();
  const mine = (opening = new AbortController());
  try {
    const d = await ask('api/events/' + encodeURIComponent(id) + (source ? '?source=' + encodeURIComponent(source) : ''), mine.signal);
    if (mine !== opening) return;
    document.title = podName(d.item) + ' · amp audit';
    const line = await story(d, mine.signal);
    if (mine !== opening) return;
    reveal(detail(d, line));
  } catch (e) {
    if (e.name === 'AbortError' || e.status === 401) return;
    const choices = e.status === 300 && e.body.sources ? h('ul', { class: 'stackv' }, ...e.body.sources.map((s) => h('li', {}, link({ id, source: s }, s)))) : null;
    reveal([head(null, 'This event cannot be shown', [id]), h('p', { class: 'note', text: e.message }), choices]);
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
    if (addressed() !== revealed) return; // another event is about to open
    if (opening) opening.abort();
    history.pushState(null, '', address(current()));
  }
  if (tr) tr.querySelector('a').focus();
  document.title = 'amp audit';
  show();
}

// follow opens the event that the address names, or closes the panel.
export function follow() {
  const q = new URLSearchParams(location.search);
  if (q.get('event')) open(q.get('event'), q.get('source'));
  else if ($('detail').open) $('detail').close();
}

$('detail').addEventListener('close', closed);
$('detail').addEventListener('click', (e) => { if (e.target === $('detail')) $('detail').close(); }); // a click beside it
