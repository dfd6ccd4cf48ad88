import { html, type Markup } from './html.js';
import type { RecordedSettings } from './report.js';

/**
 * The commands for results whose settings are not those of the settings file, in the order given.
 * @param recorded the settings that each stage instance was built with
 * @param settings those of the file
 * @param file its name
 */
export function ownCommands(
  recorded: readonly RecordedSettings[],
  settings: Readonly<Record<string, unknown>>,
  file: string,
): string[] {
  const now = new Map(leaves(settings));
  return recorded.flatMap(({ stage, settings: used }) => {
    const own = leaves(used).filter(([path, value]) => now.has(path) && text(now.get(path)) !== text(value));
    const changes = own.map(([path, value]) => quoted(`${path}=${typeof value === 'string' ? value : text(value)}`));
    return changes.length === 0 ? [] : [`critiq ${stage} --config ${file} ${changes.join(' ')}`];
  });
}

/** The commands, folded. */
export function commandsMarkup(commands: readonly string[]): Markup {
  if (commands.length === 0) return html``;
  return html`<details class="settings" id="commands"><summary>Results with settings of their own: their commands</summary>
<p class="note">On a new folder, run these before <code>critiq report</code>. Missing inputs are built first.</p>
<ul class="commands">${commands.map((command) => html`<li><code>${command}</code></li>`)}</ul></details>`;
}

/** Every setting by its dotted path. */
function leaves(value: Readonly<Record<string, unknown>>, prefix = ''): [path: string, value: unknown][] {
  return Object.entries(value).flatMap(([key, below]): [string, unknown][] => {
    const section = typeof below === 'object' && below !== null && !Array.isArray(below);
    if (section) return leaves(below as Record<string, unknown>, `${prefix}${key}.`);
    return below === undefined ? [] : [[prefix + key, below]];
  });
}

function text(value: unknown): string {
  return JSON.stringify(value) ?? 'null';
}

/** An argument as a shell reads it back. */
function quoted(arg: string): string {
  return /^[\w@%+=:,./-]+$/.test(arg) ? arg : `'${arg.replaceAll("'", `'\\''`)}'`;
}
