import { copyFileSync, cpSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { syncFolder } from '../../src/data/store/atomic.js';
import { encodeBfloat16, encodeHalf } from '../../src/data/formats/half.js';
import {
  isReadableFloat,
  toFloat32,
  writeSafetensors,
  type SafetensorsType,
  type TensorToStore,
} from '../../src/data/formats/safetensors.js';
import { UserError } from '../../src/errors.js';
import { autoUIConfigJson, type AutoUIConfig } from '../../src/models/autoui/config.js';
import { ALIASES, HEAD, TABLE } from '../../src/models/autoui/checkpoint.js';
import { checkShapes, isScale, readJson } from '../../src/models/checkpoint/checkpoint.js';
import { planCheckpoint, usedTensors, type CheckpointPlan } from '../../src/models/checkpoint/kind.js';
import {
  checkTypes,
  withCheckpoint,
  type Checkpoint,
  type CheckpointTensor,
} from '../../src/models/checkpoint/tensors.js';

import { isZip, unpackCheckpoint } from './unpack.js';

export const DTYPES = { f32: 'F32', f16: 'F16', bf16: 'BF16' } as const;

export interface ConvertOptions {
  /** type to store floating-point tensors in; default: unchanged, but bfloat16 for 8-bit floats, which it holds exactly */
  readonly dtype?: keyof typeof DTYPES;
  /**
   * `hf`: all tensors, as the Python classes name them; for Auto-UI with the copies of the embedding table that a strict
   * load_state_dict needs. `critiq`: only what critiq reads, under the names in its graphs; of BLIP-2 the vision tower.
   */
  readonly names?: 'hf' | 'critiq';
}

/** Files beside the weights that belong to a checkpoint. */
const COMPANIONS = [
  'added_tokens.json',
  'merges.txt',
  'preprocessor_config.json',
  'processor_config.json',
  'special_tokens_map.json',
  'spiece.model',
  'tokenizer.json',
  'tokenizer_config.json',
  'vocab.json',
];

/** Names of the types in transformers. */
const TORCH_NAMES: Partial<Record<SafetensorsType, string>> = { F32: 'float32', F16: 'float16', BF16: 'bfloat16' };

/**
 * Rewrites a checkpoint folder: model.safetensors (with the metadata that transformers requires), config.json, the
 * tokenizer's files, and a policy's `vision/`, which Python ignores. It works tensor by tensor, so a checkpoint may be larger
 * than memory. `to` appears complete or not at all. `from` may be a zip file as it was downloaded.
 * @throws UserError if `to` exists, `from` is not a checkpoint or does not match its config.json, a tensor is of a type that
 *   cannot be converted, or a number exceeds the range of float16
 */
export async function convertCheckpoint(from: string, to: string, options: ConvertOptions = {}) {
  if (existsSync(to)) throw new UserError(`${to}: already exists; choose a new folder`);
  if (!isZip(from)) return convertFolder(from, to, options);
  const unpacked = `${resolve(to)}.unpacked`;
  rmSync(unpacked, { recursive: true, force: true });
  try {
    await unpackCheckpoint(from, unpacked);
    return await convertFolder(unpacked, to, options);
  } finally {
    rmSync(unpacked, { recursive: true, force: true });
  }
}

async function convertFolder(from: string, to: string, options: ConvertOptions) {
  if (!existsSync(join(from, 'config.json'))) {
    throw new UserError(`${from}: expected a checkpoint folder (config.json with its weights)`);
  }
  const names = options.names ?? 'hf';
  const convert = async (checkpoint: Checkpoint) => {
    const plan = planCheckpoint(from, checkpoint);
    if (plan) checkShapes(plan.tensors, plan.specs, from);
    if (names === 'critiq' && !plan) {
      throw new UserError(`${from}: critiq does not load this kind of model; use --names hf, which converts any`);
    }
    if (plan) checkTypes(plan.tensors, from);
    const sources = namedTensors(convertible(checkpoint.tensors, plan, from), plan, names);
    const dtype = options.dtype && DTYPES[options.dtype];
    const tensors = new Map([...sources].map(([name, tensor]) => [name, stored(name, tensor, dtype, plan)]));
    const partial = `${resolve(to)}.partial`;
    rmSync(partial, { recursive: true, force: true });
    mkdirSync(partial, { recursive: true });
    try {
      await writeSafetensors(join(partial, 'model.safetensors'), tensors, { format: 'pt' });
      writeCompanions(from, partial, plan, names, commonType(tensors));
      await syncFolder(partial);
      renameSync(partial, to);
      await syncFolder(dirname(resolve(to)));
    } catch (error) {
      rmSync(partial, { recursive: true, force: true });
      throw error;
    }
    return { folder: to, kind: plan?.kind ?? 'unknown', tensors: tensors.size, dtypes: commonType(tensors) };
  };
  return withCheckpoint(from, convert, names === 'critiq' ? usedTensors(from) : undefined);
}

/** The tensors to write, by their new names. */
function namedTensors(
  all: ReadonlyMap<string, CheckpointTensor>,
  plan: CheckpointPlan | undefined,
  names: 'hf' | 'critiq',
): ReadonlyMap<string, CheckpointTensor> {
  if (names === 'critiq') return plan!.tensors;
  if (plan?.kind !== 'auto-ui') return all;
  const table = plan.tensors.get(TABLE)!;
  const tensors = new Map(plan.tensors);
  for (const alias of ALIASES) tensors.set(alias, table);
  if (!tensors.has(HEAD)) tensors.set(HEAD, table);
  return tensors;
}

/** Types that are copied as they are in a model that critiq does not load. */
const COPIED: ReadonlySet<SafetensorsType> = new Set([
  'BOOL',
  'U8',
  'I8',
  'U16',
  'I16',
  'U32',
  'I32',
  'U64',
  'I64',
  'C64',
]);

/**
 * The tensors that can be converted. Of a model that critiq loads, others that it does not read (a head's) are left out.
 * @throws UserError if a tensor has a type that cannot be converted, or its 8-bit floats are meaningless without scales,
 *   which only the library that quantized them knows to apply
 */
function convertible(
  tensors: ReadonlyMap<string, CheckpointTensor>,
  plan: CheckpointPlan | undefined,
  where: string,
): ReadonlyMap<string, CheckpointTensor> {
  if (plan) return new Map([...tensors].filter(([, { dtype }]) => isReadableFloat(dtype) || COPIED.has(dtype)));
  const scale = [...tensors.keys()].find(isScale);
  for (const { stored: name, dtype, written = dtype } of tensors.values()) {
    const eight = dtype === 'F8_E4M3' || dtype === 'F8_E5M2';
    if ((isReadableFloat(dtype) && !(eight && scale !== undefined)) || COPIED.has(dtype)) continue;
    const why = eight ? `is quantized (${written}, with the scales in ${scale})` : `has the type ${written}`;
    throw new UserError(`${where}: tensor ${name} ${why}, which critiq cannot convert; export it unquantized`);
  }
  return tensors;
}

/** A tensor to write: its own bytes, or its numbers converted to another type. */
function stored(
  name: string,
  { dtype: own, shape, source, stored: at }: CheckpointTensor,
  wanted: SafetensorsType | undefined,
  plan: CheckpointPlan | undefined,
): TensorToStore {
  const scale = name === HEAD && plan ? plan.headScale : 1;
  const kept = own === 'F8_E4M3' || own === 'F8_E5M2' ? 'BF16' : own;
  const dtype = isReadableFloat(own) ? (wanted ?? (scale === 1 ? kept : 'F32')) : own;
  if (dtype === own && scale === 1) return { dtype, shape, data: () => source.blocks(at) };
  return {
    dtype,
    shape,
    *data() {
      for (const data of source.blocks(at)) {
        const values = toFloat32({ dtype: own, shape, data });
        yield narrowed(name, scale === 1 ? values : values.map((value) => value * scale), dtype);
      }
    },
  };
}

function narrowed(name: string, values: Float32Array, dtype: SafetensorsType): ArrayBufferView {
  if (dtype === 'F32') return values;
  const bits = new Uint16Array(values.length);
  if (dtype === 'BF16') encodeBfloat16(values, bits);
  else {
    encodeHalf(values, bits);
    const lost = values.findIndex((value, i) => Number.isFinite(value) && (bits[i] & 0x7fff) === 0x7c00);
    if (lost >= 0) {
      throw new UserError(
        `tensor ${name}: ${values[lost]} exceeds the range of float16; convert with --dtype bf16 or f32`,
      );
    }
  }
  return bits;
}

/** The widest floating-point type of the tensors, by its name in transformers. */
function commonType(tensors: ReadonlyMap<string, TensorToStore>): string {
  const types = new Set([...tensors.values()].map(({ dtype }) => dtype));
  const type = (['F64', 'F32', 'BF16', 'F16'] as const).find((one) => types.has(one)) ?? 'F32';
  return TORCH_NAMES[type] ?? 'float64';
}

/** Writes config.json, generation_config.json, the tokenizer's files and a policy's vision tower. */
function writeCompanions(
  from: string,
  to: string,
  plan: CheckpointPlan | undefined,
  names: 'hf' | 'critiq',
  dtype: string,
): void {
  const at = (name: string) => join(from, name);
  const write = (name: string, json: object) => writeFileSync(join(to, name), `${JSON.stringify(json, null, 2)}\n`);
  // transformers 4 reads torch_dtype, transformers 5 reads dtype
  const types = { torch_dtype: dtype, dtype };
  if (plan?.kind === 'auto-ui') {
    const config = plan.config as AutoUIConfig;
    write('config.json', { ...autoUIConfigJson(config), is_encoder_decoder: true, ...types });
    // if this file exists, generate() reads it instead of config.json
    const ids = { decoder_start_token_id: config.start, eos_token_id: config.eos, pad_token_id: config.pad };
    const generation = existsSync(at('generation_config.json')) ? readJson(at('generation_config.json')) : {};
    const { max_new_tokens: most } = generation as { max_new_tokens?: number };
    write('generation_config.json', { ...ids, ...(Number.isInteger(most) && { max_new_tokens: most }) });
  } else if (plan?.kind === 'blip-2' && names === 'critiq') {
    const vision = { model_type: 'blip_2_vision_model', architectures: ['Blip2VisionModel'] };
    write('config.json', { ...vision, ...plan.config, ...types });
  } else {
    writeFileSync(join(to, 'config.json'), withType(readFileSync(at('config.json'), 'utf8'), dtype));
    if (existsSync(at('generation_config.json'))) {
      copyFileSync(at('generation_config.json'), join(to, 'generation_config.json'));
    }
  }
  for (const name of COMPANIONS) if (existsSync(at(name))) copyFileSync(at(name), join(to, name));
  if (existsSync(at('vision'))) cpSync(at('vision'), join(to, 'vision'), { recursive: true });
}

/** Replaces the type in the JSON text itself: JSON.stringify would write 1.0 as 1, which transformers 5 rejects. */
function withType(text: string, dtype: string): string {
  return text.replace(/("(?:torch_)?dtype"\s*:\s*)"\w+"/g, `$1"${dtype}"`);
}
