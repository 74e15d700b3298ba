// How the page spells the values of an event.
import { h } from './dom.js';

// The outcomes, each with its mark, its meaning and, where the field's word is jargon, how the page calls it. The colours are
// in style.css, by the same names.
export const OUTCOMES = {
  mutated: ['±', 'amp answered with a patch'],
  unchanged: ['=', 'the endpoints wanted no change'],
  shadowed: ['○', 'shadow mode: what amp would have answered'],
  denied: ['⊘', 'an endpoint denied the Pod: a policy decision, not a failure'],
  rejected: ['×', 'something failed, under the failure policy Fail: the Pod was refused'],
  failedopen: ['!', 'something failed, under the failure policy Ignore: the Pod was let through unchanged', 'let through unchanged'],
  validated: ['✓', '/validate let the Pod pass'],
  'compared-same': ['≡', 'a candidate would have made the same of the Pod', 'candidate agrees'],
  'compared-different': ['≠', 'a candidate would have made something else of the Pod', 'candidate differs'],
  'compared-failed': ['∅', 'a candidate failed; no review is concerned', 'candidate failed'],
};

// ofCandidate says whether an event is about a candidate, and so about no answer of amp.
export const ofCandidate = (outcome) => outcome.startsWith('compared-');

// nameOf is how the page calls an outcome.
export const nameOf = (outcome) => (OUTCOMES[outcome] && OUTCOMES[outcome][2]) || outcome;

const today = new Intl.DateTimeFormat('en-CA', { dateStyle: 'short' });
const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' });
const date = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short' });
const dayClock = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
const medium = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium', hourCycle: 'h23' });
const offset = new Intl.DateTimeFormat('en', { timeZoneName: 'shortOffset' });
const full = new Intl.DateTimeFormat(undefined, { dateStyle: 'full', timeStyle: 'long', hourCycle: 'h23' });

// offsetAt is how far the clock was from UTC at a time.
const offsetAt = (t) => offset.format(t).split(' ').pop().replace('GMT', 'UTC').replace(/[+-]0$/, '');
const millis = (t) => '.' + String(t.getMilliseconds()).padStart(3, '0');
const fullTitle = (t, iso) => full.format(t) + '\n' + iso;

// shortTime is a time in the list: of today, or with its day.
export function shortTime(iso) {
  const t = new Date(iso);
  const sameDay = today.format(t) === today.format(new Date());
  return h('time', { datetime: iso, title: fullTitle(t, iso) }, sameDay ? clock.format(t) + millis(t) : date.format(t) + ' ' + clock.format(t));
}

// minuteOf is a time with its day, to the minute.
export const minuteOf = (t) => dayClock.format(t);

// backTo is how far back the server says that it searched. It is rounded up, because the search may have ended within the
// minute. A server that is older than this page does not say it.
export const backTo = (since) => {
  const t = Math.ceil(Date.parse(since) / 60e3) * 60e3;
  return t <= Date.now() ? minuteOf(t) : 'a moment ago';
};

// zone names the time zone of all times on the page.
export const zone = () => [...new Set([Intl.DateTimeFormat().resolvedOptions().timeZone, offsetAt(new Date())])].join(', ');

export function exactTime(iso) {
  const t = new Date(iso);
  return h('time', { datetime: iso, title: fullTitle(t, iso), text: medium.format(t) + millis(t) + ' ' + offsetAt(t) });
}

export const podName = (item) => item.name || item.generateName + '*';
export const shortURL = (url) => url.replace(/^https?:\/\//, '');

// userOf shortens the name of a ServiceAccount.
export function userOf(user) {
  const m = /^system:serviceaccount:([^:]+):([^:]+)$/.exec(user);
  return m ? { text: m[2], sub: 'of ' + m[1] } : { text: user, sub: '' };
}

export function badge(outcome) {
  return h('span', { class: 'badge o-' + outcome, title: OUTCOMES[outcome] && OUTCOMES[outcome][1] }, h('i', { 'aria-hidden': 'true', text: (OUTCOMES[outcome] || ['?'])[0] }), nameOf(outcome));
}

// keyOf tells one event from all others.
export const keyOf = (item) => item.source + '\n' + item.id;
