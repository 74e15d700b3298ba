// The two charts, as SVG. Each has a table beside it that says the same (stats.js), so to a screen reader the
// picture is one image. Values reach the document as text nodes and numbers only.

import { minuteOf, nameOf } from './words.js';

const SVG = 'http://www.w3.org/2000/svg';

function s(tag, attributes, ...children) {
  const e = document.createElementNS(SVG, tag);
  for (const [k, v] of Object.entries(attributes || {})) e.setAttribute(k, v);
  e.append(...children);
  return e;
}

// nice returns a round number that is not smaller.
function nice(n) {
  if (!(n > 0)) return 1;
  const p = 10 ** Math.floor(Math.log10(n));
  return [1, 2, 3, 4, 6, 8, 10].map((m) => m * p).find((m) => m >= n * 0.999);
}

function compact(n) {
  if (n >= 1e6) return +(n / 1e6).toPrecision(3) + 'M';
  if (n >= 1e4) return +(n / 1e3).toPrecision(3) + 'k';
  return String(+n.toPrecision(3));
}

export function duration(ms) {
  if (ms >= 10000) return +(ms / 1000).toPrecision(3) + ' s';
  if (ms >= 1000) return +(ms / 1000).toFixed(2) + ' s';
  if (ms >= 100) return Math.round(ms) + ' ms';
  return +ms.toPrecision(3) + ' ms';
}

const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
const withYear = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short', hourCycle: 'h23' });
const DAY = 86400e3;

// buckets returns the stats' buckets with the empty ones that the answer leaves out.
export function buckets(stats) {
  const width = stats.bucketSeconds * 1000, at = new Map(stats.buckets.map((b) => [Date.parse(b.start), b]));
  const all = [];
  for (let t = Math.floor(Date.parse(stats.from) / width) * width; t < Date.parse(stats.to); t += width) {
    all.push(Object.assign({ counts: {}, calls: 0, p50: 0, p99: 0 }, at.get(t), { t, end: t + width }));
  }
  return all;
}

// spell spells a time of a bucket in full. A day of UTC begins at another hour for most readers, so its date alone would name
// another day.
const spell = (b, t) => (b.end - b.t >= 7 * DAY ? withYear.format(t) : minuteOf(t));

export const when = (b) => spell(b, b.t) + '–' + (b.end - b.t >= DAY ? spell(b, b.end) : clock.format(b.end));

// frame draws axes, for values between ticks that y places from 0 to 1, and returns the scales.
function frame(plot, all, ticks, scale, format, label) {
  const W = Math.max(plot.clientWidth, 200), H = Math.max(plot.clientHeight, 100);
  const left = Math.max(...ticks.map((v) => format(v).length)) * 7 + 12, bottom = 22, above = 10, right = 4;
  const svg = s('svg', { viewBox: `0 0 ${W} ${H}`, role: 'img', 'aria-label': label, preserveAspectRatio: 'none' });
  const x = (i) => left + (i * (W - left - right)) / all.length;
  const y = (v) => H - bottom - scale(v) * (H - bottom - above);
  ticks.forEach((v, i) => {
    svg.append(s('line', { class: i ? 'grid' : 'axis', x1: left, x2: W - right, y1: y(v), y2: y(v) }));
    svg.append(s('text', { x: left - 8, y: y(v) + 4, 'text-anchor': 'end' }, format(v)));
  });
  const span = all[all.length - 1].end - all[0].t;
  const labels = all.map((b, i) => (span > 3 * DAY || (span > DAY && i === 0) ? spell(b, b.t) : clock.format(b.t)));
  const wide = Math.max(84, Math.max(...labels.map((text) => text.length)) * 7 + 12);
  const every = Math.max(1, Math.ceil(all.length / Math.max(1, Math.floor((W - left) / wide))));
  for (let i = 0; i < all.length; i += every) {
    if (x(i) + labels[i].length * 7 + 5 > W && i) break;
    svg.append(s('text', { x: x(i), y: H - 5 }, labels[i]));
  }
  return { svg, x, y, W, H, above, bottom, step: x(1) - x(0) };
}

// hover shows what a bucket holds, and lets a click narrow the time to it.
function hover(plot, f, all, lines, onPick) {
  let tip = null;
  const hide = () => { if (tip) tip.remove(); tip = null; };
  all.forEach((b, i) => {
    const hit = s('rect', { class: 'hit', x: f.x(i), y: f.above, width: f.step, height: f.H - f.bottom - f.above });
    hit.addEventListener('pointerenter', () => {
      hide();
      tip = document.createElement('div');
      tip.className = 'tip';
      const title = document.createElement('b');
      title.textContent = when(b);
      tip.append(title);
      for (const [text, cls] of lines(b)) {
        const line = document.createElement('span');
        line.textContent = text;
        if (cls) line.className = cls;
        tip.append(line);
      }
      plot.append(tip);
      const at = f.x(i) + f.step / 2;
      tip.style.left = Math.max(0, Math.min(plot.clientWidth - tip.offsetWidth, at < plot.clientWidth / 2 ? at + f.step : at - f.step - tip.offsetWidth)) + 'px';
    });
    hit.addEventListener('pointerleave', hide);
    if (onPick) hit.addEventListener('click', () => onPick(b));
    f.svg.append(hit);
  });
}

function nothing(plot, text) {
  const p = document.createElement('p');
  p.className = 'nothing';
  p.textContent = text;
  plot.replaceChildren(p);
}

// none says what there was none of, if all was counted.
export const none = (complete, text) => (complete ? text : 'None among the newest events. Older ones were not counted.');

// outcomes draws stacked bars of some outcomes. empty says that there are none.
export function outcomes(plot, stats, order, empty, onPick) {
  const all = buckets(stats);
  const sum = (b) => order.reduce((n, o) => n + (b.counts[o] || 0), 0);
  const most = Math.max(0, ...all.map(sum));
  if (!most) return nothing(plot, empty);
  const totals = order.map((o) => [o, all.reduce((n, b) => n + (b.counts[o] || 0), 0)]).filter(([, n]) => n);
  const top = most < 4 ? 4 : nice(most);
  const f = frame(plot, all, [0, top / 2, top], (v) => v / top, compact, 'Stacked bars over time: ' + totals.map(([o, n]) => `${n} ${nameOf(o)}`).join(', ') + '. The table below has the numbers.');
  const gap = f.step > 8 ? 2 : f.step > 4 ? 1 : 0;
  all.forEach((b, i) => {
    let base = 0;
    for (const o of order) {
      const n = b.counts[o] || 0;
      if (!n) continue;
      const y1 = f.y(base + n), y0 = f.y(base);
      f.svg.append(s('rect', { class: 'stack o-' + o, x: f.x(i) + gap / 2, width: Math.max(f.step - gap, 1), y: y1, height: Math.max(y0 - y1, 0.75), rx: base + n === sum(b) && f.step > 6 ? 1.5 : 0 }));
      base += n;
    }
  });
  hover(plot, f, all, (b) => order.filter((o) => b.counts[o]).map((o) => [`${nameOf(o)} ${b.counts[o]}`, 'o-' + o]), onPick);
  plot.replaceChildren(f.svg);
}

// noCall is what to say where no endpoint has a call.
export const noCall = (stats) => none(stats.complete, stats.moreEndpoints ?
  'None of the endpoints that were seen last was called in this time. To see another one, filter by it.' : 'amp called no endpoint in this time.');

// latency draws the p99 of each of the endpoints that are called most, and returns those. All in one line would hide which one
// is slow. Its scale is logarithmic: with a linear one, one slow endpoint would make the others flat.
export function latency(plot, stats) {
  const all = buckets(stats), lines = stats.endpoints.filter((e) => e.times && e.times.length);
  if (!lines.length) { nothing(plot, noCall(stats)); return []; }
  const values = lines.flatMap((e) => e.times.map((b) => b.p99));
  const low = Math.floor(Math.log10(Math.min(...values) * 0.999)), high = Math.max(Math.ceil(Math.log10(Math.max(...values) * 1.001)), low + 1);
  const ticks = [];
  for (let e = low; e <= high; e++) {
    ticks.push(10 ** e);
    if (high - low === 1 && e === low) ticks.push(3 * 10 ** e);
  }
  const f = frame(plot, all, ticks, (v) => (Math.log10(v) - low) / (high - low), duration, 'Lines over time, the p99 of ' + lines.map((e) => `${e.url} ${duration(e.p99)}`).join(', ') + '. The table below has the numbers.');
  const index = new Map(all.map((b, i) => [b.t, i])), at = all.map(() => []);
  lines.forEach((e, n) => {
    const points = [];
    for (const b of e.times) {
      const i = index.get(Date.parse(b.start));
      if (i === undefined) continue;
      points.push([f.x(i) + f.step / 2, f.y(b.p99)]);
      at[i].push([`${e.url.replace(/^https?:\/\//, '')} ${duration(b.p99)}, ${b.calls} ${b.calls === 1 ? 'call' : 'calls'}`, 'series' + n]);
    }
    if (points.length > 1) f.svg.append(s('polyline', { class: 'line series' + n, points: points.map((p) => p.join(',')).join(' ') }));
    for (const p of points.length > 1 ? points.slice(-1) : points) f.svg.append(s('circle', { class: 'dot series' + n, cx: p[0], cy: p[1], r: 3 }));
  });
  all.forEach((b, i) => { b.lines = at[i]; });
  hover(plot, f, all, (b) => (b.lines.length ? b.lines : [['no call']]));
  plot.replaceChildren(f.svg);
  return lines;
}
