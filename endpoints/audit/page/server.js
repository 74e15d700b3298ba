// Asking the server, and logging in.
import { $ } from './dom.js';

export class Problem extends Error {
  constructor(status, message, body) { super(message); this.status = status; this.body = body; }
}

let onLogin = () => {};

// whenLoginIsNeeded sets what to do when the server wants a login.
export const whenLoginIsNeeded = (f) => { onLogin = f; };

// A 401 that does not say why is not the function's: it is of a proxy in front, where the session has ended. A reload leads
// to the proxy's login. reloadOnce returns false if a reload has not helped.
const reloaded = 'amp-audit-reloaded';

function reloadOnce() {
  if (sessionStorage.getItem(reloaded)) return false;
  sessionStorage.setItem(reloaded, 'yes');
  location.reload();
  return true;
}

// ask returns the JSON at a path, or throws a Problem.
export async function ask(path, signal) {
  let response;
  try {
    response = await fetch(path, { headers: { Accept: 'application/json' }, signal, credentials: 'same-origin' });
  } catch (e) {
    if (e.name === 'AbortError') throw e;
    throw new Problem(0, 'The server cannot be reached.');
  }
  let body = {};
  try { body = await response.json(); } catch (e) { if (e.name === 'AbortError') throw e; /* else the status says it */ }
  if (response.status === 401 && !body.error && reloadOnce()) return new Promise(() => {}); // the page is about to go
  if (response.ok) sessionStorage.removeItem(reloaded);
  if (response.status === 401) {
    onLogin();
    if (!$('login').open) $('login').showModal();
  }
  if (!response.ok) throw new Problem(response.status, body.error || 'The server answered ' + response.status + '.', body);
  return body;
}

const MOST_PAGES = 20; // a page takes a large store about 50 ms

// newest returns the newest events that fit, as many as wanted. A page may be short, even empty, while there is a next
// one, so it goes on for some pages. all: there are no more. Else since is how far back it went.
export async function newest(filters, wanted, signal) {
  const q = new URLSearchParams(filters), items = [];
  for (let n = 1; ; n++) {
    q.set('limit', wanted - items.length);
    const page = await ask('api/events?' + q, signal);
    items.push(...page.items);
    if (!page.next || items.length === wanted || n === MOST_PAGES) return { items, all: !page.next, since: page.since };
    q.set('cursor', page.next);
  }
}

// loginForm lets the form log in, then calls done.
export function loginForm(done) {
  $('loginform').addEventListener('submit', async (e) => {
    e.preventDefault();
    const field = e.target.elements.token;
    try {
      const response = await fetch('login', { method: 'POST', body: new URLSearchParams({ token: field.value }) });
      if (!response.ok) throw new Problem(response.status, response.status === 401 ? 'That is not the token.' : 'The server answered ' + response.status + '.');
      field.value = '';
      $('loginproblem').hidden = true;
      $('login').close();
      done();
    } catch (err) {
      $('loginproblem').textContent = err instanceof Problem ? err.message : 'The server cannot be reached.';
      $('loginproblem').hidden = false;
      field.select();
    }
  });
  $('login').addEventListener('cancel', (e) => e.preventDefault()); // without a login there is nothing to see
  $('logout').addEventListener('click', async () => { await fetch('logout', { method: 'POST' }); location.reload(); });
}
