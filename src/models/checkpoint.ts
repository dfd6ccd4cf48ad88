import { readFileSync } from 'node:fs';
import { UserError } from '../errors.js';

/** How a fresh parameter is filled: see Parameters.init of the engine. */
export type Init = 'zeros' | 'ones' | { readonly normal: number } | { readonly uniform: number };

/** Every parameter of a model by its name in the checkpoint. */
export type ParameterSpecs = Record<string, { shape: number[]; init: Init }>;

/** Parse a JSON file of a checkpoint folder. Throws UserError naming it where it cannot be read or is not JSON. */
export function readJson(file: string): unknown {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new UserError(`${file}: cannot be read (${(error as NodeJS.ErrnoException).code}); is this a checkpoint folder?`);
  }
  try {
    return JSON.parse(text);
  } catch {
    throw new UserError(`${file}: not JSON; download or export it again`);
  }
}
