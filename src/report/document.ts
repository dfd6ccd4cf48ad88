import { createHash } from 'node:crypto';
import type { Curve } from './curves.js';
import { html, jsonScript, Markup } from './html.js';
import { DRAW_CURVES, uPlot } from './script.js';
import { STYLE } from './style.js';

/** A section with its anchor. */
export type Section = readonly [id: string, title: string, body: Markup];

/**
 * A page as one HTML file. It fetches nothing, and only its own scripts can run.
 * @param curves the data of the charts in the sections, in the order of their numbers
 */
export function htmlDocument(page: {
  readonly title: string;
  readonly header: Markup;
  readonly sections: readonly Section[];
  readonly footer: Markup;
  readonly curves: readonly Curve[];
}): string {
  const { title, header, sections, footer, curves } = page;
  const library = uPlot();
  const scripts = curves.length > 0 ? [library.script, DRAW_CURVES] : [];
  const allowed = scripts.map((text) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`).join(' ');
  const policy = `default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src ${allowed || "'none'"}`;
  return html`<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
<link rel="icon" href="data:,">
<style>${new Markup(library.style + STYLE)}</style></head>
<body>
<header>${header}
<nav aria-label="Sections">${sections.map(([id, name]) => html`<a href="#${id}">${name}</a> `)}</nav></header>
<main>
${sections.map(
  ([id, name, body]) => html`<section aria-labelledby="${id}"><h2 id="${id}">${name}</h2>
${body}</section>
`,
)}
</main>
<footer>${footer}</footer>
${scripts.length > 0 && jsonScript('curves', curves)}
${scripts.map((text) => html`<script>${new Markup(text)}</script>`)}
</body></html>
`.text;
}
