import { commandsMarkup } from './commands.js';
import { html, table, type Markup, type Piece } from './html.js';
import type { Report } from './report.js';

/** The line that lets a reader repeat the run: command, settings, seed, version and commit. */
export function repeatMarkup({ run, seed, yaml, changed, commands, versions, commit }: Report): Markup {
  const file = `${run}.yaml`;
  const link = `data:application/yaml;charset=utf-8,${encodeURIComponent(yaml)}`;
  const count = Object.keys(changed).length;
  return html`<p class="repeat">Repeat this run: <code>critiq report --config ${file}</code> with <a download="${file}" href="${link}">${file}</a> (${
    count === 0
      ? 'all settings at their defaults'
      : html`<a href="#settings">${count} ${count === 1 ? 'setting' : 'settings'}</a> changed from the defaults`
  })${
    commands.length > 0 &&
    html`, after <a href="#commands">${commands.length} ${commands.length === 1 ? 'command' : 'commands'}</a> for results with settings of their own`
  }; seed ${seed}, critiq ${versions.critiq}, ${commitMarkup(commit)}, Node.js ${versions.node} on ${versions.platform}.</p>`;
}

function commitMarkup(commit: string | null): Markup {
  if (commit === null) return html`commit unknown`;
  const [hash, dirty] = commit.split('-');
  return html`commit <code title="${hash}">${hash.slice(0, 12)}</code>${dirty !== undefined && ' with uncommitted changes'}`;
}

/** The settings that differ from the defaults in one place; all others, and the versions, folded. */
export function settingsMarkup(report: Report): Markup {
  const { recorded, settings, idle, versions, commit, seed } = report;
  const rows = changedRows(report);
  const [used, unused] = [
    rows.filter(({ section }) => !idle.includes(section)),
    rows.filter(({ section }) => idle.includes(section)),
  ];
  return html`<h3>Settings that differ from the defaults</h3>
${used.length === 0 ? html`<p>None.</p>` : changedMarkup(used)}
${commandsMarkup(report.commands)}
${
  unused.length > 0 &&
  html`<details class="settings"><summary>Settings of stages that made no data of this run: ${[...new Set(unused.map(({ section }) => section))].join(', ')}</summary>${changedMarkup(unused)}</details>`
}
<details class="settings"><summary>All settings, by data set</summary>
<details><summary>All settings when the report was made</summary>${settingsTable(settings)}</details>
${recorded.map(
  ({ dataset, stage, settings: used }) =>
    html`<details><summary>${dataset} <span class="note">made by critiq ${stage}</span></summary>${settingsTable(used)}</details>
`,
)}</details>
<details class="settings"><summary>Versions: seed ${seed}, ${commitMarkup(commit)}</summary>${table(
    ['package', 'version'],
    Object.entries(versions).map(([name, version]) => [name, version ?? 'not installed']),
  )}</details>`;
}

interface ChangedRow {
  /** empty for the settings of every run */
  readonly section: string;
  readonly name: string;
  readonly value: Piece;
  readonly standard: string;
}

/** A table for each section. */
function changedMarkup(rows: readonly ChangedRow[]): Markup {
  const sections = [...new Set(rows.map(({ section }) => section))];
  return html`<div class="changed">${sections.map((section) =>
    table(
      [section === '' ? 'run' : section, 'this run', 'default'],
      rows
        .filter((row) => row.section === section)
        .map(({ name, value, standard }) => [name, value, html`<code>${standard}</code>`]),
      { text: true },
    ),
  )}</div>`;
}

/** A row for each setting that is not at its default, now or in the settings that a data set was made with. */
function changedRows({ changed, recorded, settings }: Report): ChangedRow[] {
  const now = new Map(flattened(settings));
  const others = new Map<string, Map<string, string[]>>();
  for (const { dataset, stage, settings: used } of recorded) {
    // an evaluation's own settings follow from its name
    if (stage === 'eval') continue;
    for (const [path, value] of flattened(used)) {
      if (!now.has(path) || now.get(path) === value) continue;
      const of = others.get(path) ?? new Map<string, string[]>();
      of.set(value, [...(of.get(value) ?? []), dataset]);
      others.set(path, of);
    }
  }
  // in the order of all settings, so that the rows of a section stand together
  const paths = [...now.keys()].filter((path) => path in changed || others.has(path));
  return paths.map((path) => ({
    section: path.includes('.') ? path.slice(0, path.indexOf('.')) : '',
    name: path.slice(path.indexOf('.') + 1),
    value: html`<code>${now.get(path)}</code>${[...(others.get(path) ?? [])].map(
      ([value, datasets]) => html`<br><code>${value}</code> <span class="note">in ${datasets.join(', ')}</span>`,
    )}`,
    standard: changed[path] ? shown(changed[path].default) : now.get(path)!,
  }));
}

function settingsTable(settings: Readonly<Record<string, unknown>>): Markup {
  return table(['setting', 'value'], flattened(settings));
}

function shown(value: unknown): string {
  return JSON.stringify(value) ?? '–';
}

/** Every setting by its dotted path, values as JSON. */
function flattened(value: Readonly<Record<string, unknown>>, prefix = ''): [string, string][] {
  return Object.entries(value).flatMap(([key, below]): [string, string][] => {
    const path = prefix + key;
    const section = typeof below === 'object' && below !== null && !Array.isArray(below);
    return section ? flattened(below as Record<string, unknown>, `${path}.`) : [[path, shown(below)]];
  });
}
