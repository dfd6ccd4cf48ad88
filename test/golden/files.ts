import { basename, join } from 'node:path';
import { z } from 'zod';
import { actionsMatch, type Box } from '../../src/agents/matching.js';
import { TextTokenizer } from '../../src/agents/text/tokenizer.js';
import { readTorchStateDict } from '../../src/data/formats/torch-state.js';
import { TorchFile } from '../../src/data/formats/torch.js';
import type { Action, Point } from '../../src/data/action.js';
import { UserError } from '../../src/errors.js';
import { readJsonFile } from '../../src/data/formats/json.js';
import { Comparison, ReferenceFile, readJsonAs } from './reference.js';

export const MatchingFile = z.object({
  cases: z
    .array(
      z.object({
        a: z.object({ type: z.string(), touch: z.array(z.number()), lift: z.array(z.number()) }),
        b: z.object({ type: z.string(), touch: z.array(z.number()), lift: z.array(z.number()) }),
        boxes: z.array(z.array(z.number()).length(4)),
        match: z.boolean(),
      }),
    )
    .min(1),
});

/** Results of Android in the Wild's action matching. */
export function matchingCase(file: z.infer<typeof MatchingFile>): Comparison {
  const comparison = new Comparison();
  const action = ({ type, touch, lift }: { type: string; touch: number[]; lift: number[] }): Action =>
    type === 'TYPE'
      ? { type, text: '' }
      : ({ type, touch: touch as unknown as Point, lift: lift as unknown as Point } as Action);
  file.cases.forEach(({ a, b, boxes, match }, i) => {
    comparison.equal(`case ${i}`, actionsMatch(action(a), action(b), boxes as unknown as Box[]), match);
  });
  return comparison;
}

/** A torch.save file and a JSON file with the same value. */
export async function torchCase(file: string, json: string): Promise<Comparison> {
  const comparison = new Comparison();
  const expected = readJsonFile(json, 'make the numbers again');
  const source = await TorchFile.open(file);
  try {
    comparison.equal(basename(file), plain(source, source.value()), expected);
  } finally {
    source.close();
  }
  return comparison;
}

/** The value of a torch file in the form of its JSON file. */
function plain(source: TorchFile, value: unknown): unknown {
  const text = source.text(value);
  if (text !== undefined) return text;
  if (value === null || value === undefined) return null;
  if (typeof value === 'number' || typeof value === 'boolean') return value;
  if (Array.isArray(value)) return value.map((item) => plain(source, item));
  if (value instanceof Map) return Object.fromEntries([...value].map(([key, item]) => [key, plain(source, item)]));
  const numbers = source.numbers(value);
  if (!numbers)
    throw new UserError(`${source.file}: expected texts, numbers, lists and dictionaries, got a ${typeof value}`);
  return nested([...numbers.values], numbers.shape);
}

function nested(values: number[], shape: readonly number[]): unknown {
  if (shape.length === 0) return values[0];
  const size = values.length / shape[0];
  return Array.from({ length: shape[0] }, (_, i) => nested(values.slice(i * size, (i + 1) * size), shape.slice(1)));
}

/** A malicious pickle, which calls a function: it must fail with one line that names the global, and run nothing. */
export async function hostileCase(file: string): Promise<Comparison> {
  const comparison = new Comparison();
  let refusal: unknown;
  try {
    const source = await TorchFile.open(file);
    try {
      source.value();
    } finally {
      source.close();
    }
  } catch (error) {
    refusal = error;
  }
  const message = refusal instanceof UserError ? refusal.message : '';
  comparison.equal(
    `refused (${message || String(refusal)})`,
    /\b\w+\.\w+/.test(message) && !message.includes('\n'),
    true,
  );
  return comparison;
}

/** pytorch_model.bin has the tensors of model.safetensors (and copies of the embedding). */
export async function stateDictCase(folder: string): Promise<Comparison> {
  const comparison = new Comparison();
  const expected = new ReferenceFile(folder, 'model.safetensors');
  const { tensors } = await readTorchStateDict(join(folder, 'pytorch_model.bin'));
  for (const name of expected.names) {
    const got = tensors.get(name);
    comparison.equal(`${name} shape`, got?.shape, expected.get(name).shape);
    if (got) comparison.equal(name, Buffer.from(got.data).equals(Buffer.from(expected.get(name).data)), true);
  }
  return comparison;
}

/** Token ids and decoded texts of a Hugging Face tokenizer. */
export function tokenizerCase(folder: string): Comparison {
  const comparison = new Comparison();
  const tokenizer = TextTokenizer.load(folder);
  const rows = z.array(z.object({ text: z.string(), ids: z.array(z.int()), decoded: z.string() }));
  for (const { text, ids, decoded } of readJsonAs(join(folder, 'expected.json'), rows)) {
    comparison.equal(`ids of ${JSON.stringify(text)}`, tokenizer.encode(text), ids);
    comparison.equal(`text of ${JSON.stringify(text)}`, tokenizer.decode(ids), decoded);
  }
  return comparison;
}
