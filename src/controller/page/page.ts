/** The status page: whole for a browser that comes, and its parts alone for the script that follows the report. */

import { changesPart } from './changes-part.ts';
import { html } from './html.ts';
import { nodesPart } from './nodes-part.ts';
import { type PageInput, summary } from './part.ts';
import { problemsPart } from './problems-part.ts';
import { routesPart } from './routes-part.ts';
import { statusPart } from './status-part.ts';
import { tablesPart } from './tables-part.ts';

/** The whole page. It needs no script: then it shows the state at its loading. */
export function renderPage(input: PageInput): string {
  const networks = input.report?.networks.join(', ');
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${summary(input).text} · flannel-vpc</title>
<link rel="icon" href="/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/page.css">
<script src="/page.js" defer></script>
</head>
<body>
<a class="skip" href="#nodes-search">To the search</a>
<header><h1>flannel-vpc <span>controller${networks ? html` of ${networks}` : ''}</span></h1>
<p><span id="heard">The state when this page was loaded</span> <span id="said" class="unseen" role="status"></span></p></header>
<p id="lost" role="alert" hidden></p>
<main>
${statusPart(input)}${problemsPart(input)}${tablesPart(input)}
<form id="search" role="search" action="/" method="get">
<label for="nodes-search">Find nodes and routes</label>
<input id="nodes-search" type="search" name="q" value="${input.filter}" maxlength="200" placeholder="waiting eu-west-1a" autocomplete="off" spellcheck="false">
<button>Find</button>
</form>
${nodesPart(input)}${routesPart(input)}${changesPart(input)}
</main>
<footer>${input.report ? html`flannel-vpc ${input.report.version} · ` : ''}<a href="/status.json">as JSON</a> · <a href="/metrics">metrics</a></footer>
</body>
</html>
`.text;
}

/** The parts that follow the report, without what stands around them. */
export function renderParts(input: PageInput): string {
  return html`${[statusPart, problemsPart, tablesPart, nodesPart, routesPart, changesPart].map((part) => part(input))}`
    .text;
}
