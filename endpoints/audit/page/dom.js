// The document, and how values get into it. What events hold is written by others: it reaches the document as
// text (textContent, text nodes, form values) and never as markup.

export const $ = (id) => document.getElementById(id);

// plain spells out what would make a text look different from what it is: control characters, and characters that
// change the direction of writing.
const plain = (text) => String(text).replace(/[\0-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g, (c) => '\\u' + c.charCodeAt(0).toString(16).padStart(4, '0'));

// h makes an element: properties first, then children, which are nodes or text.
export function h(tag, props, ...children) {
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

export const num = (n) => n.toLocaleString();
export const count = (n, one, many) => `${num(n)} ${n === 1 ? one : many}`;
