import type { z } from 'zod';
import { type Alias, aliasPath, type Aliases, Core } from './settings.js';
import { fields, leafPaths, type Scope, scopeOf, typeName, unwrap } from './schema.js';

/** The text of docs/settings.md: every setting with its type, default and description, from the schemas. */
export function settingsReference(schema: z.ZodObject, aliases: Aliases): string {
  const sections = Object.entries(schema.shape as Record<string, z.ZodType>).filter(([, section]) => fields(section));
  const core = Object.keys(Core.shape);
  const lines = [
    '# Settings',
    '',
    'Generated from the schemas by `npm run docs:settings`; do not edit. Set settings in a YAML file (`--config`; it may extend others with',
    '`extends`) and on the command line (`critiq critic critic.lr=1e-5 run=exp7`). A run keeps them: a later command needs only what it',
    'changes ([concepts](concepts.md#settings)). `critiq config` prints the settings of a run, and where each comes from.',
    '',
    '*Of the command*: the run does not keep it. *Names a result* (a policy, an evaluation): the command line sets it for that result, and with',
    'it the other settings of the section. *Of one result*: on the command line it is always set for the evaluation that the command makes.',
    '',
    'P marks the value of a paper, C that of its released code; [algorithms](algorithms.md) has the equations and their sources.',
    '',
    '## Common settings',
    '',
    ...table(
      schema,
      leafPaths(schema).filter(({ path }) => core.includes(path)),
    ),
  ];
  for (const [name, section] of sections) {
    lines.push('', `## ${name}`, '');
    const about = section.description ?? unwrap(section).description;
    if (about) lines.push(about, '');
    lines.push(...table(schema, leafPaths(section, [name])));
  }
  const known = Object.entries(aliases).filter(([, target]) =>
    leafPaths(schema).some(({ path }) => path === aliasPath(target)),
  );
  if (known.length > 0) {
    lines.push(
      '',
      '## Aliases',
      '',
      'Names from the configuration files of the reference implementations work too. `critiq import config FILE` translates a whole file.',
      '',
      '| Name | Setting |',
      '| --- | --- |',
    );
    const values = (alias: Alias): string =>
      typeof alias === 'string'
        ? ''
        : ` (${Object.entries(alias.values)
            .map(([theirs, ours]) => `\`${theirs}\` is \`${ours}\``)
            .join(', ')})`;
    lines.push(...known.map(([name, alias]) => `| \`${name}\` | \`${aliasPath(alias)}\`${values(alias)} |`));
  }
  return `${lines.join('\n')}\n`;
}

/** What the table says of how long a value on the command line lasts; see `Scope`. */
const LASTING: Readonly<Record<Scope, string>> = {
  run: '',
  result: 'Names a result.',
  command: 'Of one result.',
  machine: 'Of the command.',
};

function table(whole: z.ZodObject, leaves: readonly { path: string; schema: z.ZodType }[]): string[] {
  const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('\n', ' ');
  return [
    '| Setting | Type | Default | |',
    '| --- | --- | --- | --- |',
    ...leaves.map(({ path, schema }) => {
      const standard = schema.safeParse(undefined);
      const value = standard.success && standard.data !== undefined ? `\`${cell(JSON.stringify(standard.data))}\`` : '';
      const about = schema.description ?? unwrap(schema).description ?? '';
      const stays = LASTING[scopeOf(whole, path.split('.'))];
      return `| \`${path}\` | ${cell(typeName(schema))} | ${value} | ${cell(about)}${stays === '' ? '' : ` *${stays}*`} |`;
    }),
  ];
}
