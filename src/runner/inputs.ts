import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { pathInside } from '../data/store/inside.js';
import { verifyFile } from '../data/store/integrity.js';
import { setFile } from '../data/store/set-files.js';
import { UserError } from '../errors.js';
import type { Config } from '../settings/settings.js';
import { datasetFolder, type Instance } from './instance.js';
import { IMPORT, readManifest, readPlan } from './outputs.js';
import type { Shard } from './stage.js';

/**
 * Compares every file that some shards are built from with its manifest: size and CRC, once for each file and process. This
 * is what keeps damaged weights, tokenizers and vectors from being used.
 * @throws UserError that names the first file that is missing, a link, changed or damaged
 */
export async function verifyInputs(instance: Instance, shards: readonly Shard[]): Promise<void> {
  for (const name of instance.inputs) {
    const folder = datasetFolder(instance.config, name);
    const stage = readPlan(folder)?.stage;
    const again = stage === undefined || stage === IMPORT ? 'import it again' : `run \`critiq ${stage}\` again`;
    const whatToDo = `restore it from a backup, or delete ${folder} and ${again}`;
    const lines = readManifest(folder);
    // all shards count where one of these does not name those it reads
    const named = shards.map(({ inputs }) => inputs?.[name]);
    const wanted = named.every((ids) => ids !== undefined) ? new Set(named.flat()) : undefined;
    for (const { shard, files } of lines.values()) {
      if (wanted && !wanted.has(shard)) continue;
      for (const record of files) {
        const path = pathInside(folder, record.file, setFile(folder, 'manifest'));
        await verifyFile(path, record, 'all', whatToDo);
      }
    }
  }
}

/** @throws UserError if the stage would overwrite one of its own inputs */
export function refuseOwnInput({ name, inputs, outputs }: Pick<Instance, 'name' | 'inputs' | 'outputs'>): void {
  const own = outputs.find((output) => inputs.includes(output.name));
  if (own)
    throw new UserError(
      `${name}: would read ${own.name} and replace it; give the result another name, or start from another one`,
    );
}

/**
 * The error for stages that need each other, with the commands of a second round.
 * @param chain instances, each of which needs the next; the last is the first again
 */
export function circularStages(chain: readonly string[], config: Config): UserError {
  const { run } = config;
  const next = nextRound(config);
  const setting = namingSetting(chain, config);
  const [stage] = chain[0].split('/');
  const todo =
    setting === undefined
      ? 'take the policy from another run (RUN:NAME) in a run of its own (run=NAME)'
      : `\`critiq fork ${run} ${next}\`, then \`critiq ${stage} run=${next} ${setting.path}=${run}:${setting.value} --redo\``;
  return new UserError(
    `${chain[0]} would be built from itself: ${chain.join(' needs ')}; for a second round: ${todo} (see docs/many-runs.md)`,
  );
}

/** The setting by which one of the stages names what another one of them builds: `collect.policy=digiq`. */
function namingSetting(chain: readonly string[], config: Config): { path: string; value: string } | undefined {
  for (const [i, needed] of chain.slice(1).entries()) {
    const [stage] = chain[i].split('/');
    const value = needed.slice(needed.indexOf('/') + 1);
    const section = Object.entries((config[stage] ?? {}) as Record<string, unknown>);
    const key = section.find(([, set]) => set === value)?.[0];
    if (key !== undefined) return { path: `${stage}.${key}`, value };
  }
  return undefined;
}

/** A name for the next round of a run: `exp7-2`, then `exp7-3`. */
function nextRound({ data, run }: Config): string {
  const [, name, number = '1'] = /^(.*?)(?:-(\d{1,4}))?$/.exec(run)!;
  for (let n = Number(number) + 1; ; n++) if (!existsSync(join(data, `${name}-${n}`))) return `${name}-${n}`;
}
