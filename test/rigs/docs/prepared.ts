/** A finished tiny run, made once by critiq's own stages and copied for each block that needs one. */
import { cpSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { DocFolder } from './folder.js';
import { docFolder } from './folder.js';
import { giveModels } from './given.js';
import { parsePage } from './markdown.js';
import { runUnit } from './shell.js';
import { unitsOf } from './units.js';

/** The names of the run for every block. */
const NAMES = ['pocket', 'exp7'];

/** Commands that make everything that later commands need. */
const COMMANDS = `
make demo
critiq online --config configs/pocket-coso.yaml
critiq report
`;

/** Makes the run. @returns its folder, and a function that removes it */
export async function prepareRun(): Promise<{ data: string; remove: () => void }> {
  const folder = docFolder();
  const [unit] = unitsOf(parsePage('test/rigs/docs/prepared.ts', `\`\`\`sh${COMMANDS}\`\`\`\n`));
  const { failure } = await runUnit(unit, folder, { servers: {}, settings: [] });
  if (failure !== undefined) throw new Error(failure);
  return {
    data: join(folder.clone, 'data'),
    remove: () => rmSync(folder.parent, { recursive: true, force: true }),
  };
}

/** A folder for a unit, with a copy of the run if there is one. */
export function unitFolder(prepared: string | undefined): DocFolder & { readonly parent: string } {
  const folder = docFolder();
  giveModels(folder.home);
  if (prepared === undefined) return folder;
  for (const name of NAMES) {
    const run = join(folder.clone, 'data', name);
    mkdirSync(run, { recursive: true });
    cpSync(join(prepared, 'pocket'), run, { recursive: true });
  }
  return folder;
}
