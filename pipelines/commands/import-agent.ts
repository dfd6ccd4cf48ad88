import { existsSync, mkdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { Critic, type CriticFile } from '../../src/agents/critic/critic.js';
import { policyFiles, readMaxTokens, savePolicy } from '../../src/agents/policy/policy.js';
import { TextTokenizer } from '../../src/agents/text/tokenizer.js';
import { counted } from '../../src/counted.js';
import { writeAtomic } from '../../src/data/store/atomic.js';
import { copyWhole } from '../../src/data/store/file.js';
import { recordFile } from '../../src/data/store/integrity.js';
import { fingerprint, openDataset } from '../../src/data/store/manifest.js';
import { writeTable } from '../../src/data/tables.js';
import { VALUES } from '../../src/data/transitions.js';
import { UserError } from '../../src/errors.js';
import { openRuntime } from '../../src/graph/index.js';
import { loadAutoUI } from '../../src/models/autoui/checkpoint.js';
import { agentFiles, readReleasedCritic, stateFolder, type ReleasedCritic } from '../../src/models/released/agent.js';
import type { Display } from '../../src/runner/display.js';
import { datasetFolder, runFolder } from '../../src/runner/instance.js';
import { IMPORT, Output, readManifest } from '../../src/runner/outputs.js';
import { underLock, writeRunRecord } from '../../src/runner/run.js';
import { trashDatasets } from '../../src/runner/trash.js';
import type { Config } from '../../src/settings/settings.js';
import { CriticData } from '../training/critic-data.js';
import { valuesOf } from '../training/critic-values.js';
import { checkFolders, modelsOf } from '../resources.js';
import { builtByStage } from './built-by-stage.js';

export interface AgentOptions {
  readonly display: Display;
  readonly signal: AbortSignal;
  /** replace data sets that the stages of this run built */
  readonly force: boolean;
  /** name of the policy, below `policy/` */
  readonly name: string;
}

/** What an import of an agent has written. */
export interface ImportedAgent {
  readonly folder: string;
  readonly policy?: { readonly dataset: string; readonly parameters: number };
  readonly critic?: { readonly parameters: number; readonly image: number; readonly rep: number };
  /** transitions of the run that the critic has valued; undefined if the run has no data for it */
  readonly values?: number;
  /** files of the folder that critiq has no use for, such as the target critic */
  readonly unused: readonly string[];
}

/** The data sets that the critic needs to value the run's states. */
const DATA = ['trajectories', 'image-vectors', 'candidates', 'representations'];

/**
 * `critiq import agent FOLDER`: the policy of a trained agent becomes `policy/NAME`, its critic `critic`, and the values
 * of the run's data, if it has any, `values`. Configuration and tokenizer of the policy are those of `models.policy`
 * (Auto-UI-Base), those of the critic's text towers of `models.text` (roberta-base).
 * @throws UserError if something is missing, broken or does not fit, before anything is written
 */
export async function importAgent(path: string, config: Config, options: AgentOptions): Promise<ImportedAgent> {
  const { display, signal, force, name } = options;
  if (!/^[\w+-][\w.+-]*$/.test(name)) {
    throw new UserError(`--name ${name}: expected the name of a policy: letters, digits, _ . + -`);
  }
  const folder = stateFolder(path);
  const files = await agentFiles(folder);
  const policyFile = files.find(({ part }) => part === 'policy')?.file;
  const criticFile = files.find(({ part }) => part === 'critic')?.file;
  if (policyFile === undefined && criticFile === undefined) {
    throw new UserError(`${folder}: has neither an Auto-UI policy nor a critic of Digi-Q; expected a trained agent`);
  }
  const models = modelsOf(config);
  const needed = [...(policyFile ? (['policy'] as const) : []), ...(criticFile ? (['text'] as const) : [])];
  for (const one of needed) {
    if (models[one] !== '') continue;
    const what =
      one === 'policy'
        ? "the policy's config.json and tokenizer (Auto-UI-Base)"
        : "the critic's text towers (roberta-base)";
    throw new UserError(`models.${one} is empty: set it to the folder with ${what}`);
  }
  checkFolders(config, needed);
  const policy = policyFile === undefined ? undefined : await loadAutoUI(models.policy, policyFile);
  const critic = criticFile === undefined ? undefined : await readReleasedCritic(criticFile, models.text);
  TextTokenizer.load(policy ? models.policy : models.text).mustFit(
    policy ? policy.config.vocabulary : critic!.tower.vocab_size,
    policy ? models.policy : models.text,
  );
  const dataset = `policy/${name}`;
  return underLock(config, display, async (lock, log) => {
    const outputs = [...(policy ? [dataset] : []), ...(critic ? ['critic', 'values'] : [])];
    const made = builtByStage(
      config,
      outputs,
      force,
      'import into another run with run=NAME, under another --name, or replace it with --force',
    );
    const valued = critic && DATA.every((one) => readManifest(datasetFolder(config, one)).size > 0);
    const data = valued ? await CriticData.open({ dataset: (one) => datasetFolder(config, one) }) : undefined;
    try {
      if (critic && data) checkWidths(critic, data, runFolder(config));
      await trashDatasets(config, 'import', made, display);
      log.begin();
      await writeRunRecord(config);
      lock.update(IMPORT);
      const commit = committer(config, { folder, files: files.map(({ file }) => file) });
      if (policy) {
        const to = datasetFolder(config, dataset);
        copyTokenizer(models.policy, to);
        await savePolicy(to, { ...policy, maxTokens: readMaxTokens(models.policy) });
        await commit(dataset, policyFiles(to));
      }
      if (critic) {
        const to = datasetFolder(config, 'critic');
        await commit('critic', await writeReleasedCritic(to, critic, models.text));
        if (data) {
          await writeValues(config, data, options);
          await commit('values', ['values.parquet']);
        }
      }
      signal.throwIfAborted();
      const used = new Set([policyFile, criticFile]);
      return {
        folder,
        ...(policy ? { policy: { dataset, parameters: policy.params.count } } : {}),
        ...(critic
          ? { critic: { parameters: critic.params.count, image: critic.critic.image, rep: critic.critic.rep } }
          : {}),
        ...(data ? { values: data.transitions.length } : {}),
        unused: files.filter(({ file }) => !used.has(file)).map(({ file }) => file),
      };
    } finally {
      data?.close();
    }
  });
}

/** Writes a released critic as a critic of critiq, with the tokenizer of its RoBERTa. @returns the names of the files */
export async function writeReleasedCritic(folder: string, critic: ReleasedCritic, roberta: string): Promise<string[]> {
  copyTokenizer(roberta, folder);
  const file: CriticFile = {
    ...{ model_type: 'critiq-critic', critic: critic.critic, drop: [] },
    ...{ action_text: 'typed', own_towers: critic.tower },
  };
  await writeAtomic(join(folder, 'config.json'), JSON.stringify(file, null, 2));
  await critic.params.save(join(folder, 'model.safetensors'));
  return ['config.json', 'model.safetensors', 'tokenizer.json', 'tokenizer_config.json'];
}

/** The values of the run's states by the critic that was just written. */
async function writeValues(config: Config, data: CriticData, { display, signal }: AgentOptions): Promise<void> {
  const { provider, device_id: deviceId, tf32 } = config;
  const runtime = await openRuntime({ kind: 'auto', threads: availableParallelism(), provider, deviceId, tf32 });
  try {
    const critic = await Critic.load(runtime, datasetFolder(config, 'critic'));
    const folder = datasetFolder(config, 'values');
    mkdirSync(folder, { recursive: true });
    let at = 0;
    const progress = {
      advance: (count = 1) =>
        display.count(`import: ${counted((at += count), 'state')} of ${data.transitions.length} valued`),
      done: () => undefined,
    };
    await writeTable(join(folder, 'values.parquet'), VALUES, valuesOf(critic, data, { progress, signal }));
  } finally {
    await runtime.close();
  }
}

function checkWidths({ critic }: ReleasedCritic, { vectors, representations }: CriticData, run: string): void {
  if (vectors.dim === critic.image && representations.dim === critic.rep) return;
  throw new UserError(
    `${run}: its data have image vectors of ${vectors.dim} and representations of ${representations.dim} numbers, but the critic reads ${critic.image} and ${critic.rep}; import the agent into another run (run=NAME), or the data that it was trained on`,
  );
}

function copyTokenizer(from: string, to: string): void {
  mkdirSync(to, { recursive: true });
  for (const file of ['tokenizer.json', 'tokenizer_config.json']) {
    if (existsSync(join(from, file))) copyWhole(join(from, file), join(to, file));
  }
}

/** Commits the files of a data set as imported. */
function committer(config: Config, source: { readonly folder: string; readonly files: readonly string[] }) {
  return async (dataset: string, files: readonly string[]): Promise<void> => {
    const folder = datasetFolder(config, dataset);
    const set = await openDataset(folder, { stage: 'import agent' });
    const shard = dataset === 'critic' || dataset === 'values' ? dataset : 'policy';
    const records = await Promise.all(files.map((file) => recordFile(join(folder, file), file)));
    const inputs = fingerprint({ files: records.map((record) => record.crc32) });
    await set.commit({ shard, files: records, inputs, settings: fingerprint(source.folder), facts: {} });
    const settings = { import: { agent: source.folder } };
    await new Output(dataset, folder).writePlan({
      ...{ stage: IMPORT, instance: IMPORT, settings, shards: [shard], finished: true },
    });
  };
}

/** An import of an agent as lines for people. */
export function describeAgent({ policy, critic, values, unused, folder }: ImportedAgent): string[] {
  const millions = (count: number): string => `${(count / 1e6).toFixed(1)} million parameters`;
  const lines = [`import: done (${folder})`];
  if (policy) lines.push(`${policy.dataset}: ${millions(policy.parameters)}`);
  if (critic) lines.push(`critic: ${millions(critic.parameters)}, three text towers`);
  if (values !== undefined) lines.push(`values: ${counted(values, 'state')} of this run`);
  else if (critic)
    lines.push('values: none, since the run has no data with representations; import the data, then the agent again');
  if (unused.length > 0) lines.push(`not used: ${unused.join(', ')} (a target critic, or another model)`);
  return lines;
}
