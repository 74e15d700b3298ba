// The page of amp's audit function: what its parts do when the reader does something.
import { $, h } from './dom.js';
import './compare.js';
import { fill, filterBy, toAddress } from './filters.js';
import { load, older } from './list.js';
import { closeStream, showWaiting, state, togglePause } from './live.js';
import { follow } from './panel.js';
import { ask, loginForm, whenLoginIsNeeded } from './server.js';
import { whenPicked } from './stats.js';
import { nameOf, OUTCOMES, zone } from './words.js';

for (const [o, [, meaning]] of Object.entries(OUTCOMES)) {
  $('outcomes').append(h('label', { class: 'chip o-' + o, title: meaning }, h('input', { type: 'checkbox', name: 'outcome', value: o }), nameOf(o)));
}

// apply goes by what is in the form.
function apply(push) {
  toAddress(push);
  load();
}

let typing = 0;
$('filters').addEventListener('input', (e) => {
  clearTimeout(typing);
  if (e.target.name === 'range' && e.target.value === 'between') { $('between').hidden = false; $('clear').disabled = false; return; }
  typing = setTimeout(() => apply(false), e.target.matches('select, [type=checkbox]') ? 0 : 300);
});
$('filters').addEventListener('submit', (e) => { e.preventDefault(); clearTimeout(typing); apply(true); });
$('filters').addEventListener('reset', () => setTimeout(() => { $('filters').elements.range.value = ''; apply(true); }));
whenPicked(() => apply(true));
$('more').addEventListener('click', () => older(3));
$('pill').addEventListener('click', showWaiting);
$('pause').addEventListener('click', togglePause);

// A click on a value filters by it.
document.addEventListener('click', (e) => {
  const button = e.target.closest('button[data-filter]');
  if (!button) return;
  $('detail').close();
  filterBy(button.dataset.filter, button.dataset.value);
  apply(true);
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
// The arrow keys move in the list. They need no focus, but leave alone what has one.
document.addEventListener('keydown', (e) => {
  if (e.defaultPrevented || e.ctrlKey || e.metaKey || e.altKey || e.shiftKey || document.querySelector('dialog[open]')) return;
  const tr = e.target.closest('#rows tr');
  if (!tr && e.target !== document.body && e.target !== $('events')) return;
  if (e.key === '/') { e.preventDefault(); $('filterbox').open = true; $('filters').elements.pod.focus(); return; }
  const first = $('rows').firstElementChild;
  const to = !tr ? { ArrowDown: first, j: first }[e.key] : { ArrowDown: tr.nextElementSibling, j: tr.nextElementSibling, ArrowUp: tr.previousElementSibling, k: tr.previousElementSibling, Home: $('rows').firstElementChild, End: $('rows').lastElementChild }[e.key];
  if (to) { e.preventDefault(); to.querySelector('a').focus(); }
});
window.addEventListener('popstate', () => {
  const before = $('export').href;
  fill();
  if ($('export').href !== before) load();
  follow();
});

whenLoginIsNeeded(() => {
  state('away', 'Log in to read');
  closeStream();
});
loginForm(start);

async function start() {
  fill();
  load();
  follow();
  suggest();
}

let suggested = 0;

// suggest offers the values that there are. The browser narrows them down while one types.
async function suggest() {
  suggested = Date.now();
  try {
    const values = await ask('api/values');
    $('logout').hidden = !values.session;
    for (const name of ['namespaces', 'endpoints', 'users']) $(name).replaceChildren(...values[name].map((v) => h('option', { value: v })));
  } catch { /* the form works without suggestions */ }
}
$('filters').addEventListener('focusin', (e) => { if (e.target.list && Date.now() - suggested > 15000) suggest(); });

$('zone').textContent = 'Times: ' + zone();
// A phone shows the list first. The count says that there are filters.
if (matchMedia('(max-width: 640px)').matches) $('filterbox').open = $('chartbox').open = false;
start();
