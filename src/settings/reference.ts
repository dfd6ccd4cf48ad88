import type { z } from 'zod';
import { type Alias, aliasPath, type Aliases, Core } from './settings.js';
import { fields, leafPaths, typeName, unwrap } from './schema.js';

/** The text of docs/settings.md: every setting with its type, default and description, from the schemas. */
export function settingsReference(schema: z.ZodObject, aliases: Aliases): string {
  const sections = Object.entries(schema.shape as Record<string, z.ZodType>).filter(([, section]) => fields(section));
  const core = Object.keys(Core.shape);
  const lines = [
    '# Settings',
    '',
    'Generated from the schemas by `npm run docs:settings`; do not edit. Set settings in a YAML file (`--config`; it may extend others with',
    '`extends`) and on the command line (`critiq critic critic.lr=1e-5 run=exp7`). `critiq config` prints the resolved settings.',
    '',
    'P marks the value of a paper, C that of its released code; [algorithms](algorithms.md) has the equations and their sources.',
    '',
    '## Common settings',
    '',
    ...table(leafPaths(schema).filter(({ path }) => core.includes(path))),
  ];
  for (const [name, section] of sections) {
    lines.push('', `## ${name}`, '');
    const about = section.description ?? unwrap(section).description;
    if (about) lines.push(about, '');
    lines.push(...table(leafPaths(section, [name])));
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

function table(leaves: readonly { path: string; schema: z.ZodType }[]): string[] {
  const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('\n', ' ');
  return [
    '| Setting | Type | Default | |',
    '| --- | --- | --- | --- |',
    ...leaves.map(({ path, schema }) => {
      const standard = schema.safeParse(undefined);
      const value = standard.success && standard.data !== undefined ? `\`${cell(JSON.stringify(standard.data))}\`` : '';
      return `| \`${path}\` | ${cell(typeName(schema))} | ${value} | ${cell(schema.description ?? unwrap(schema).description ?? '')} |`;
    }),
  ];
}
