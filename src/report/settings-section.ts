import { html, table, type Markup } from './html.js';
import type { Report } from './report.js';

/** What a person needs to make the run again: settings of each data set as it was made, versions, commit, seed. */
export function settingsSection({ recorded, settings, versions, commit, seed }: Report): Markup {
  return html`<h3>Settings of what was made</h3>
${recorded.map(
  ({ dataset, stage, settings: used }) =>
    html`<details class="settings"><summary>${dataset} <span class="note">by critiq ${stage}</span></summary>${settingsTable(used)}</details>
`,
)}
<details class="settings"><summary>All settings when the report was made</summary>${settingsTable(settings)}</details>
<details class="settings"><summary>Versions: seed ${seed}, commit ${commit ?? 'unknown'}</summary>${table(
    ['package', 'version'],
    Object.entries(versions).map(([name, version]) => [name, version ?? 'not installed']),
  )}</details>`;
}

function settingsTable(settings: Readonly<Record<string, unknown>>): Markup {
  return table(['setting', 'value'], flattened(settings));
}

/** Every setting by its dotted path, values as JSON. */
function flattened(value: Readonly<Record<string, unknown>>, prefix = ''): [string, string][] {
  return Object.entries(value).flatMap(([key, below]): [string, string][] => {
    const path = prefix + key;
    const section = typeof below === 'object' && below !== null && !Array.isArray(below);
    return section ? flattened(below as Record<string, unknown>, `${path}.`) : [[path, JSON.stringify(below) ?? '–']];
  });
}
