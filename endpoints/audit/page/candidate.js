// What a candidate would have made of a Pod, beside what amp answered.
import { count, h } from './dom.js';

const KINDS = {
  onlyAnswered: 'only in what amp answered', onlyCandidate: 'only in the candidate’s Pod',
  otherValue: 'another value', otherOrder: 'the same elements in another order',
};

// value writes a value of a Pod.
const value = (label, v) => (v === undefined ? null : h('div', { class: 'sub' }, h('span', { text: label + ' ' }), h('code', { text: JSON.stringify(v) })));

// differences lists the places at which the two Pods differ.
export function differences(data) {
  const c = data.comparison || {}, all = c.differences || [];
  if (!c.differing) {
    return h('p', { class: 'note', text: { same: 'Nothing.', failed: 'The candidate failed, so there is nothing to compare.', alone: 'The review itself failed, so there is nothing to compare with.' }[c.result] || 'Only one of the two denied the Pod.' });
  }
  if (!all.length) return h('p', { class: 'note', text: `${count(c.differing, 'place', 'places')}. An event of level ${data.level || 'Metadata'} does not say which. Level Patch does.` });
  return h('ol', { class: 'changes' }, ...all.map((d) => h('li', {}, h('span', { class: 'mark2 m-replace', 'aria-hidden': 'true', text: '≠' }), h('div', {},
    h('div', {}, h('code', { text: d.where || d.path }), ' ', KINDS[d.kind] || d.kind), value('amp answered', d.answered), value('the candidate', d.candidate)))),
  all.length < c.differing ? h('li', { text: `and ${c.differing - all.length} more` }) : null);
}
