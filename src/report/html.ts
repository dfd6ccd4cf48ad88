/** HTML that is safe to put into a page as it stands. */
export class Markup {
  constructor(readonly text: string) {}
}

export type Piece = string | number | Markup | null | undefined | false | readonly Piece[];

/**
 * Template tag: what is filled in is escaped, unless it is markup itself. Lists are joined; null, undefined and false
 * leave nothing. Attribute values must stand in double quotes.
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

/** The text with the characters that mean something in HTML, in elements and in attributes, as entities. */
export function escape(text: string): string {
  // control characters and halves of surrogate pairs are not allowed in HTML, whatever wrote them
  return text.replace(/(?![\t\n\r])[\p{Cc}\p{Cs}]/gu, '\ufffd').replace(/[&<>"']/g, (character) => ENTITIES[character]);
}

/** A value as JSON that can stand in a script element: nothing in it ends the element. */
export function jsonScript(id: string, value: unknown): Markup {
  const json = JSON.stringify(value)
    .replaceAll('<', '\\u003c')
    .replaceAll('\u2028', '\\u2028')
    .replaceAll('\u2029', '\\u2029');
  return new Markup(`<script type="application/json" id="${escape(id)}">${json}</script>`);
}

/** A rate in [0, 1] as per cent with one decimal. */
export function percent(rate: number): string {
  return `${(100 * rate).toFixed(1)}\u00a0%`;
}

/** An interval of rates in per cent. */
export function percentRange([low, high]: readonly [number, number]): string {
  return `${(100 * low).toFixed(1)}\u2009–\u2009${percent(high)}`;
}

/** A number with three significant digits, without needless zeros; `–` where there is none. */
export function decimal(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return '–';
  const rounded = Number(value.toPrecision(3));
  if (rounded !== 0 && (Math.abs(rounded) < 1e-4 || Math.abs(rounded) >= 1e7)) return minus(rounded.toExponential());
  return minus(String(rounded));
}

/** A number with as many decimals as asked for, for columns. */
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

/** A table whose first column heads the rows. */
export function table(head: readonly Piece[], rows: readonly (readonly Piece[])[], caption?: string): Markup {
  return html`<div class="scroll"><table>${caption !== undefined && html`<caption>${caption}</caption>`}
<thead><tr>${head.map((cell) => html`<th scope="col">${cell}</th>`)}</tr></thead>
<tbody>${rows.map(
    ([first, ...rest]) => html`<tr><th scope="row">${first}</th>${rest.map((cell) => html`<td>${cell}</td>`)}</tr>
`,
  )}</tbody></table></div>`;
}
