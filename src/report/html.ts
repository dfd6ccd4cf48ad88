/** HTML that is safe to put into a page unchanged. */
export class Markup {
  constructor(readonly text: string) {}
}

export type Piece = string | number | Markup | null | undefined | false | readonly Piece[];

/**
 * Template tag that escapes what is filled in, unless it is markup. Lists are joined; null, undefined and false give
 * nothing. Attribute values must be in double quotes.
 */
export function html(strings: TemplateStringsArray, ...pieces: Piece[]): Markup {
  return new Markup(strings.reduce((text, part, i) => text + textOf(pieces[i - 1]) + part));
}

function textOf(piece: Piece): string {
  if (piece === null || piece === undefined || piece === false) return '';
  if (piece instanceof Markup) return piece.text;
  if (typeof piece === 'object') return piece.map(textOf).join('');
  return escape(String(piece));
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** The text with every character that has a meaning in HTML, in elements and attributes, as an entity. */
export function escape(text: string): string {
  // HTML allows no control characters and no lone surrogates, wherever they came from
  return text.replace(/(?![\t\n\r])[\p{Cc}\p{Cs}]/gu, '\ufffd').replace(/[&<>"']/g, (character) => ENTITIES[character]);
}

/** A value as JSON in a script element, which nothing in the value can end. */
export function jsonScript(id: string, value: unknown): Markup {
  const json = JSON.stringify(value)
    .replaceAll('<', '\\u003c')
    .replaceAll('\u2028', '\\u2028')
    .replaceAll('\u2029', '\\u2029');
  return new Markup(`<script type="application/json" id="${escape(id)}">${json}</script>`);
}

/** A rate in [0, 1] in percent, with one decimal. */
export function percent(rate: number): string {
  return `${(100 * rate).toFixed(1)}\u00a0%`;
}

/** An interval of rates in percent. */
export function percentRange([low, high]: readonly [number, number]): string {
  return `${(100 * low).toFixed(1)}\u2009–\u2009${percent(high)}`;
}

/** A number with three significant digits and no trailing zeros; `–` where there is none. */
export function decimal(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return '–';
  const rounded = Number(value.toPrecision(3));
  if (rounded !== 0 && (Math.abs(rounded) < 1e-4 || Math.abs(rounded) >= 1e7)) return minus(rounded.toExponential());
  return minus(String(rounded));
}

/** A number with a fixed count of decimals, for columns. */
export function fixed(value: number, digits: number): string {
  const text = value.toFixed(digits);
  return minus(Number(text) === 0 ? text.replace('-', '') : text);
}

/** A count with thin spaces between thousands. */
export function count(value: number): string {
  return String(value).replace(/\B(?=(\d{3})+$)/g, '\u2009');
}

/** A difference with its sign. */
export function signed(value: number, digits: number): string {
  const text = value.toFixed(digits);
  return value >= 0 ? `+${text}` : minus(text);
}

function minus(text: string): string {
  return text.replaceAll('-', '\u2212');
}

/**
 * A table with row headers in the first column.
 * @param options `text`: the cells are words, aligned to the left
 */
export function table(
  head: readonly Piece[],
  rows: readonly (readonly Piece[])[],
  { caption, text = false }: { caption?: string; text?: boolean } = {},
): Markup {
  return html`<div class="scroll"><table class="${text ? 'text' : ''}">${caption !== undefined && html`<caption>${caption}</caption>`}
<thead><tr>${head.map((cell) => html`<th scope="col">${cell}</th>`)}</tr></thead>
<tbody>${rows.map(
    ([first, ...rest]) => html`<tr><th scope="row">${first}</th>${rest.map((cell) => html`<td>${cell}</td>`)}</tr>
`,
  )}</tbody></table></div>`;
}
