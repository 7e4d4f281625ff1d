/** The page's style, as it is sent. A text, so that it goes into the bundle as it is. Colours meet WCAG's 4.5:1 in both schemes. */
export const pageStyle = `:root {
  color-scheme: light dark;
  --ground: #f4f6f8;
  --card: #ffffff;
  --line: #dde3ea;
  --text: #17202b;
  --soft: #566373;
  --accent: #0b62c4;
  --good: #17703a;
  --good-ground: #e3f4e8;
  --good-fill: #2f9e58;
  --near: #8a5200;
  --near-ground: #fff1d6;
  --near-fill: #e09a16;
  --bad: #b3201f;
  --bad-ground: #fde8e6;
  --bad-fill: #d63a38;
  --quiet: #4f5c6b;
  --quiet-ground: #e9edf1;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #0f141a;
    --card: #182029;
    --line: #2b3643;
    --text: #e6ebf1;
    --soft: #9dabba;
    --accent: #6fb3ff;
    --good: #79d79b;
    --good-ground: #16331f;
    --good-fill: #3aa662;
    --near: #f4c269;
    --near-ground: #3a2b10;
    --near-fill: #d9962a;
    --bad: #ff9d97;
    --bad-ground: #431a1a;
    --bad-fill: #dd4b48;
    --quiet: #b0bcc9;
    --quiet-ground: #263039;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto;
  padding: 0 1.25rem 2rem;
  max-width: 100rem;
  background: var(--ground);
  color: var(--text);
  font: 0.9375rem/1.45 system-ui, 'Segoe UI', Roboto, 'Helvetica Neue', 'DejaVu Sans', sans-serif;
}
h1, h2, p, ul, dl, dd { margin: 0; padding: 0; }
ul { list-style: none; }
code, .code { font-family: ui-monospace, 'SF Mono', Menlo, Consolas, 'DejaVu Sans Mono', monospace; font-size: 0.8125rem; }
a { color: var(--accent); }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; border-radius: 4px; }
.unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
.skip { position: absolute; left: -999rem; }
.skip:focus { left: 1rem; top: 0.5rem; background: var(--card); padding: 0.5rem; z-index: 2; }
[hidden] { display: none !important; }

header { display: flex; flex-wrap: wrap; gap: 0.25rem 1.5rem; align-items: baseline; justify-content: space-between; padding: 1.25rem 0 0.75rem; }
h1 { font-size: 1.375rem; letter-spacing: -0.01em; }
h1 span { color: var(--soft); font-weight: 400; }
header p, footer { color: var(--soft); font-size: 0.8125rem; }
#heard::before { content: ''; display: inline-block; width: 0.5rem; height: 0.5rem; margin-right: 0.4rem; border-radius: 50%; background: var(--soft); }
.scripted #heard::before { background: var(--good-fill); }
.lost #heard { display: none; }
#lost { position: sticky; top: 0; z-index: 1; margin-bottom: 1rem; padding: 0.75rem 1rem; border-radius: 8px; background: #b3201f; color: #fff; font-weight: 600; }
.lost main { opacity: 0.6; }

main { display: grid; gap: 1rem; }
main > * { min-width: 0; }
section, #status { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 1rem 1.125rem; }
h2 { font-size: 1.0625rem; margin-bottom: 0.625rem; }
.total { color: var(--soft); font-weight: 400; font-size: 0.875rem; margin-left: 0.25rem; }
.note { color: var(--soft); }
.scroll + .note, .problems + .note { margin-top: 0.625rem; }

.badge { display: inline-flex; align-items: center; gap: 0.35em; padding: 0.05rem 0.5rem 0.05rem 0.4rem; border-radius: 99px; font-size: 0.8125rem; font-weight: 600; white-space: nowrap; }
.badge.good { color: var(--good); background: var(--good-ground); }
.badge.near { color: var(--near); background: var(--near-ground); }
.badge.bad { color: var(--bad); background: var(--bad-ground); }
.badge.quiet { color: var(--quiet); background: var(--quiet-ground); }
.mark { font-weight: 700; min-width: 0.75em; text-align: center; }
.headline { margin-bottom: 0.875rem; }
.headline .badge { font-size: 1.125rem; padding: 0.2rem 0.875rem 0.2rem 0.7rem; }
.facts { display: flex; flex-wrap: wrap; gap: 0.5rem 2.25rem; }
.facts dt { color: var(--soft); font-size: 0.75rem; }
.facts dd { overflow-wrap: anywhere; }
#status > p + ul { list-style: disc; padding-left: 1.25rem; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(10.5rem, 1fr)); gap: 0.625rem; margin-top: 1rem; }
.tiles li { border: 1px solid var(--line); border-left: 4px solid var(--line); border-radius: 8px; padding: 0.5rem 0.75rem; }
.tiles .noticed { border-left-color: var(--near-fill); }
.tiles span { display: block; color: var(--soft); font-size: 0.75rem; }
.tiles b { font-size: 1.5rem; line-height: 1.25; font-variant-numeric: tabular-nums; letter-spacing: -0.01em; }

.problems li { display: flex; gap: 0.75rem; align-items: flex-start; padding: 0.5rem 0.75rem; border-left: 4px solid; border-radius: 6px; }
.problems li + li { margin-top: 0.375rem; }
.problems li.bad { border-color: var(--bad-fill); background: color-mix(in srgb, var(--bad-ground) 45%, transparent); }
.problems li.near { border-color: var(--near-fill); background: color-mix(in srgb, var(--near-ground) 45%, transparent); }
.problems p { overflow-wrap: anywhere; }
.problems code { color: var(--soft); margin-left: 0.25rem; }
.problems .badge { min-width: 5.75rem; }
.hint { color: var(--soft); }

form { display: flex; flex-wrap: wrap; gap: 0.5rem 0.75rem; align-items: center; }
input { flex: 1 1 16rem; max-width: 32rem; font: inherit; color: inherit; background: var(--card); border: 1px solid var(--soft); border-radius: 8px; padding: 0.4rem 0.75rem; }
input::placeholder { color: var(--soft); opacity: 1; }
button { font: inherit; color: inherit; background: var(--card); border: 1px solid var(--soft); border-radius: 8px; padding: 0.4rem 1rem; cursor: pointer; }
.scripted button { display: none; }

.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
thead th { color: var(--soft); white-space: nowrap; }
thead th, thead .code { font: 600 0.75rem/1.4 system-ui, 'Segoe UI', Roboto, 'Helvetica Neue', 'DejaVu Sans', sans-serif; }
th, td { padding: 0.375rem 0.75rem; border-bottom: 1px solid var(--line); vertical-align: baseline; text-align: left; font-weight: 400; }
th:first-child, td:first-child { padding-left: 0.5rem; }
tbody tr:last-child > * { border-bottom: 0; }
tbody tr:hover > * { background: color-mix(in srgb, var(--quiet-ground) 45%, transparent); }
tr.bad > :first-child { box-shadow: inset 3px 0 var(--bad-fill); }
tr.near > :first-child { box-shadow: inset 3px 0 var(--near-fill); }
tbody .code, tbody .short, time { white-space: nowrap; }
tbody .long { white-space: normal; overflow-wrap: anywhere; min-width: 16rem; }
.number { text-align: right; font-variant-numeric: tabular-nums; }
thead .number { text-align: right; }
.wide { min-width: 16rem; width: 40%; overflow-wrap: anywhere; }
.line { display: block; }
.none, .said, .more { color: var(--soft); }
.why, .said { display: block; }
.said { font-size: 0.8125rem; }
.tag { font-size: 0.75rem; color: var(--quiet); background: var(--quiet-ground); padding: 0.05rem 0.375rem; border-radius: 4px; }

.quota { display: grid; grid-template-columns: 2.5rem minmax(8rem, 1fr); gap: 0.125rem 0.625rem; align-items: center; }
.quota + .quota { margin-top: 0.5rem; }
.family { color: var(--soft); font-size: 0.75rem; }
.bar { display: block; width: 100%; height: 0.625rem; border-radius: 99px; overflow: hidden; }
.track { fill: var(--quiet-ground); }
.good .fill { fill: var(--good-fill); }
.near .fill { fill: var(--near-fill); }
.bad .fill { fill: var(--bad-fill); }
.words { grid-column: 2; font-variant-numeric: tabular-nums; font-size: 0.8125rem; }
footer { padding-top: 1rem; }

@media (max-width: 46rem) {
  body { padding: 0 0.75rem 1.5rem; }
  section, #status { padding: 0.875rem; }
  .facts { display: grid; gap: 0.5rem; }
  .tiles { grid-template-columns: 1fr 1fr; }
  .problems li { flex-direction: column; gap: 0.25rem; }
  thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  table, tbody, tr { display: block; }
  tbody tr { border: 1px solid var(--line); border-radius: 8px; padding: 0.5rem 0.25rem; }
  tbody tr + tr { margin-top: 0.5rem; }
  tr.bad { border-left: 4px solid var(--bad-fill); }
  tr.near { border-left: 4px solid var(--near-fill); }
  tr > :first-child { box-shadow: none !important; }
  tbody th, tbody td { overflow-wrap: anywhere; display: grid; grid-template-columns: 6.5rem 1fr; gap: 0.5rem; border: 0; padding: 0.125rem 0.5rem; text-align: left; width: auto; min-width: 0; }
  tbody th::before, tbody td::before { content: attr(data-label); color: var(--soft); font: 0.75rem/1.7 system-ui, 'DejaVu Sans', sans-serif; }
  tbody th > *, tbody td > * { grid-column: 2; justify-self: start; }
  .quota { width: 100%; }
  tbody .code, tbody .short { white-space: normal; }
  tbody .number { text-align: left; }
  tbody .wide, tbody .long { width: auto; min-width: 0; }
}
@media (prefers-reduced-motion: no-preference) {
  .fill { transition: width 0.3s; }
}
`;

/** The page's icon: a route that forks. */
export const pageIcon = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="7" fill="#0b62c4"/><path d="M6 16h7l8-8h5M13 16l8 8h5" fill="none" stroke="#fff" stroke-width="3" stroke-linecap="round" stroke-linejoin="round"/></svg>
`;
