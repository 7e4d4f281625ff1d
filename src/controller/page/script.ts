/**
 * The page's script, as it is sent. A text, so that it goes into the bundle as it is and runs from the sources as well.
 *
 * It fetches the parts every two seconds and exchanges those that changed. What was in focus or scrolled stays so.
 */
export const pageScript = `'use strict';
const everyMs = 2000;
const heard = document.getElementById('heard');
const lost = document.getElementById('lost');
const search = document.getElementById('nodes-search');
const shown = new Map();
let etag = '';
let heardAt = new Date();
let headline = document.getElementById('status').dataset.headline;
let timer;
let running;

for (const part of document.querySelectorAll('[data-part]')) shown.set(part.id, part.outerHTML);

function clockTime(date) {
  return date.toLocaleTimeString([], { hour12: false });
}

function exchange(text) {
  const parts = new DOMParser().parseFromString(text, 'text/html').querySelectorAll('[data-part]');
  for (const next of parts) {
    const now = document.getElementById(next.id);
    if (!now || shown.get(next.id) === next.outerHTML) continue;
    shown.set(next.id, next.outerHTML);
    const focused = now.contains(document.activeElement) ? document.activeElement.id : '';
    const left = new Map([...now.querySelectorAll('.scroll')].map((each) => [each.id, each.scrollLeft]));
    now.replaceWith(document.adoptNode(next));
    for (const [id, at] of left) if (at > 0) document.getElementById(id)?.scrollTo(at, 0);
    if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
  }
  const status = document.getElementById('status');
  if (status.dataset.headline !== headline) {
    headline = status.dataset.headline;
    // A live region: what changes here is read out.
    document.getElementById('said').textContent = headline;
    document.title = headline + ' · flannel-vpc';
  }
}

async function refresh() {
  clearTimeout(timer);
  running?.abort();
  const mine = (running = new AbortController());
  try {
    const response = await fetch('/fragment?q=' + encodeURIComponent(search.value), {
      headers: etag ? { 'If-None-Match': etag } : {},
      cache: 'no-store',
      signal: AbortSignal.any([mine.signal, AbortSignal.timeout(10000)]),
    });
    if (response.status !== 304) {
      if (!response.ok) throw new Error('answered ' + response.status);
      const text = await response.text();
      exchange(text);
      etag = response.headers.get('ETag') ?? '';
    }
    if (mine.signal.aborted) return;
    heardAt = new Date();
    lost.hidden = true;
    document.body.classList.remove('lost');
    heard.textContent = 'Up to date at ' + clockTime(heardAt);
  } catch (error) {
    if (mine.signal.aborted) return;
    lost.textContent = 'Can’t reach the controller since ' + clockTime(heardAt) + '. What stands here is from then; trying again.';
    lost.hidden = false;
    document.body.classList.add('lost');
  }
  if (!document.hidden) timer = setTimeout(refresh, everyMs);
}

search.form.addEventListener('submit', (event) => {
  event.preventDefault();
  refresh();
});

search.addEventListener('input', () => {
  const address = new URL(location.href);
  if (search.value) address.searchParams.set('q', search.value);
  else address.searchParams.delete('q');
  history.replaceState(null, '', address);
  clearTimeout(timer);
  timer = setTimeout(refresh, 150);
});

document.addEventListener('visibilitychange', () => {
  if (!document.hidden) refresh();
});

document.documentElement.classList.add('scripted');
refresh();
`;
