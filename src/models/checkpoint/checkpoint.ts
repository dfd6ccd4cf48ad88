import { existsSync, readdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { z } from 'zod';
import { isObject, parseJson } from '../../data/formats/json.js';
import { readTextFile } from '../../data/formats/text.js';
import { UserError } from '../../errors.js';
import type { Parameters } from '../../graph/index.js';

/** Initial values of a parameter; see Parameters.init. */
export type Init = 'zeros' | 'ones' | { readonly normal: number } | { readonly uniform: number };

/** All parameters of a model by their names in the checkpoint. */
export type ParameterSpecs = Record<string, { shape: number[]; init: Init }>;

/** Parses a JSON file of a checkpoint folder. @throws UserError if it can't be read or is no JSON object */
export function readJson(file: string): Record<string, unknown> {
  const text = readTextFile(file, () => whereElse(dirname(file)));
  let value: unknown;
  try {
    value = parseJson(text);
  } catch (error) {
    throw new UserError(`${file}: ${(error as Error).message}; download or export it again`);
  }
  if (!isObject(value)) throw new UserError(`${file}: expected a JSON object; download or export it again`);
  return value;
}

/** Where a checkpoint may be instead: in a zip file as it was downloaded, or one folder further down. */
export function whereElse(folder: string): string {
  const stat = statSync(folder, { throwIfNoEntry: false });
  if (stat?.isFile()) {
    return folder.endsWith('.zip')
      ? `${folder} is a zip file: unpack it, by \`critiq checkpoint convert ${folder} FOLDER\``
      : `${folder} is a file; expected a checkpoint folder`;
  }
  const inner = !stat ? [] : readdirSync(folder).filter((name) => existsSync(join(folder, name, 'config.json')));
  return inner.length > 0 ? `did you mean ${join(folder, inner[0])}?` : 'is this a checkpoint folder?';
}

/** The error for a file that does not match its schema. It names the first wrong field, if there is one. */
export function schemaError(file: string, { issues: [issue] }: z.ZodError, expected: string): UserError {
  const field = issue.path.length > 0 ? `${issue.path.join('.')}: ` : '';
  return new UserError(`${file}: ${field}${issue.message}; expected ${expected}`);
}

/**
 * Checks that a checkpoint has exactly the parameters of a model.
 * @throws UserError that lists parameters that are missing, unexpected or of another shape
 */
export function checkParameters(params: Parameters, specs: ParameterSpecs, source: string): void {
  checkShapes(new Map(params.names().map((name) => [name, params.get(name)])), specs, source);
}

/** Names of what quantized weights are multiplied by. */
const SCALE = /(?:scale(?:_inv)?|scales|scale_weight|SCB|absmax|qzeros|quant_state\..*)$/;

/** Whether a tensor holds the scales of quantized weights. */
export function isScale(name: string): boolean {
  return SCALE.test(name);
}

/** The same for the shapes of tensors by name, before any tensor is read. */
export function checkShapes(
  tensors: ReadonlyMap<string, { readonly shape: readonly number[] }>,
  specs: ParameterSpecs,
  source: string,
): void {
  const faults: string[] = [];
  for (const [name, { shape }] of Object.entries(specs)) {
    const got = tensors.get(name)?.shape;
    if (!got) faults.push(`${name} is missing`);
    else if (String(got) !== String(shape)) faults.push(`${name}: expected [${shape}], got [${got}]`);
  }
  for (const name of tensors.keys()) if (!(name in specs)) faults.push(`${name} is unexpected`);
  if (faults.length === 0) return;
  const more = faults.length > 6 ? ` and ${faults.length - 6} more` : '';
  const quantized = [...tensors.keys()].some((name) => !(name in specs) && SCALE.test(name));
  const hint = quantized ? '; its weights are quantized: export it in float32, float16 or bfloat16' : '';
  throw new UserError(`${source}: does not match its config.json: ${faults.slice(0, 6).join('; ')}${more}${hint}`);
}
