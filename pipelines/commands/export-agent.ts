import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Critic, type CriticFile } from '../../src/agents/critic/critic.js';
import { Tuples, writeTorch, type Saved, type TensorToSave } from '../../src/data/formats/torch-write.js';
import { verifySet } from '../../src/data/store/manifest.js';
import { UserError } from '../../src/errors.js';
import { Parameters } from '../../src/graph/index.js';
import { ALIASES, HEAD, loadAutoUI, TABLE } from '../../src/models/autoui/checkpoint.js';
import { TEXT_KINDS, towerPrefixes } from '../../src/models/critic/network.js';
import { RELEASED_HEADS, RELEASED_TOWERS } from '../../src/models/released/agent.js';
import { loadRoberta } from '../../src/models/roberta/checkpoint.js';
import { datasetFolder } from '../../src/runner/instance.js';
import { policySet } from '../../src/runner/reference.js';
import type { Config } from '../../src/settings/settings.js';

/** What an export of an agent has written. */
export interface ExportedAgent {
  readonly folder: string;
  readonly files: readonly string[];
  /** what its reader should know */
  readonly notes: readonly string[];
}

/**
 * `critiq export agent OUT`: a policy of the run and its critic as accelerate's `load_state` reads them, with the names of
 * Digi-Q's code: the policy, the critic, the critic again as the target critic, and optimizers without a history.
 * @throws UserError if a model is missing, or the critic has parts that the released one has not
 */
export async function exportAgent(out: string, policy: string, config: Config): Promise<ExportedAgent> {
  if (existsSync(out)) throw new UserError(`${out}: already exists; choose a new folder`);
  const from = datasetFolder(config, policySet(policy));
  if (!existsSync(join(from, 'config.json'))) {
    throw new UserError(`${from}: no such policy; name one of this run with --policy`);
  }
  const folder = datasetFolder(config, 'critic');
  if (!existsSync(join(folder, 'config.json'))) {
    throw new UserError(`${folder}: no critic; run \`critiq critic\` first, or import one`);
  }
  for (const set of [from, folder]) await verifySet(set);
  const file = Critic.file(folder);
  const critic = await criticTensors(folder, file);
  const { params } = await loadAutoUI(from);
  const model = policyTensors(params);
  const models: [name: string, tensors: ReadonlyMap<string, TensorToSave>][] = [
    ['pytorch_model.bin', model],
    ['pytorch_model_1.bin', critic],
    ['pytorch_model_2.bin', critic],
  ];
  const optimizers: [name: string, count: number, lr: number][] = [
    ['optimizer.bin', params.names().length, 1e-4],
    ['optimizer_1.bin', critic.size, 1e-5],
  ];
  for (const [name, tensors] of models) await writeTorch(join(out, name), tensors);
  for (const [name, count, lr] of optimizers) await writeTorch(join(out, name), adam(count, lr));
  const notes =
    file.action_text === 'typed'
      ? []
      : [
          "the critic was trained with critic.action_text=decision; Digi-Q's code feeds it the typed text alone, so its values differ there",
        ];
  return { folder: out, files: [...models, ...optimizers].map(([name]) => name), notes };
}

/** The policy's tensors under their released names, with the copies of the embedding table. */
function policyTensors(params: Parameters): Map<string, TensorToSave> {
  const tensors = new Map(params.names().map((name): [string, TensorToSave] => [name, params.get(name)]));
  const table = tensors.get(TABLE)!;
  for (const alias of ALIASES) tensors.set(alias, table);
  if (!tensors.has(HEAD)) tensors.set(HEAD, table);
  return tensors;
}

/** The critic's tensors under their released names: three towers, also where critiq's critic has one for all texts. */
async function criticTensors(folder: string, file: CriticFile): Promise<Map<string, TensorToSave>> {
  const { critic, drop, text, own_towers: own, text_tower: frozen, marked } = file;
  const odd =
    (critic.state ?? 0) > 0
      ? 'it reads a representation of the state (critic.state_rep)'
      : (critic.outputs ?? 1) > 1
        ? 'its heads classify (critic.mc_loss=classification)'
        : drop.length > 0
          ? `it drops inputs (critic.drop=${drop.join(',')})`
          : text && marked !== true
            ? 'its text tower is not a RoBERTa with its own tokenizer (models.text was empty)'
            : undefined;
  if (odd) throw new UserError(`${folder}: Digi-Q's code has no such critic: ${odd}`);
  const params = Parameters.load(join(folder, 'model.safetensors'));
  const tensors = new Map<string, TensorToSave>();
  for (const kind of TEXT_KINDS) {
    const prefix = own || text?.towers === 'three' ? `text.${kind}.` : towerPrefixes()[0];
    const tower = frozen ? (await loadRoberta(frozen.folder)).params : params.below(prefix);
    for (const name of tower.names()) tensors.set(`${RELEASED_TOWERS[kind]}${name}`, tower.get(name));
  }
  for (const [head, prefix] of Object.entries(RELEASED_HEADS)) {
    const own = params.below(`${head}.`);
    for (const name of own.names()) tensors.set(`${prefix}${name}`, own.get(name));
  }
  return tensors;
}

/** The state dict of torch.optim.Adam before its first step. */
function adam(count: number, lr: number): Saved {
  const group = new Map<string, Saved>([
    ['lr', lr],
    ['betas', new Tuples([0.9, 0.999])],
    ['eps', 1e-8],
    ['weight_decay', 0],
    ['amsgrad', false],
    ['maximize', false],
    ['foreach', null],
    ['capturable', false],
    ['differentiable', false],
    ['fused', null],
    ['params', Array.from({ length: count }, (_, i) => i)],
  ]);
  return new Map<string, Saved>([
    ['state', new Map<string, Saved>()],
    ['param_groups', [group]],
  ]);
}
