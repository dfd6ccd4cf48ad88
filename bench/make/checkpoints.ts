import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { autoUIConfigJson, autoUISpecs } from '../../src/models/autoui/config.js';
import { writePocketTokenizer, type PocketVocabulary } from '../../src/models/pocket/tokenizer.js';
import { robertaSpecs } from '../../src/models/roberta/roberta.js';
import { AUTOUI_BASE, ROBERTA_BASE } from '../real-sizes.js';
import { tiledParameters } from '../side-by-side.js';

/** Checkpoints of the released sizes with random weights, and tokenizers for any text. Existing folders are kept. */

/** Auto-UI-Base. @param longest most tokens that it generates */
export async function makeAutoUI(folder: string, vocabulary: PocketVocabulary, longest: number): Promise<void> {
  await makeCheckpoint(folder, autoUIConfigJson(AUTOUI_BASE), autoUISpecs(AUTOUI_BASE));
  await makeTokenizer(folder, vocabulary, AUTOUI_BASE.vocabulary);
  writeFileSync(join(folder, 'generation_config.json'), JSON.stringify({ max_new_tokens: longest }));
}

/** roberta-base. */
export async function makeRoberta(folder: string, vocabulary: PocketVocabulary): Promise<void> {
  await makeCheckpoint(folder, { model_type: 'roberta', ...ROBERTA_BASE }, robertaSpecs(ROBERTA_BASE));
  await makeTokenizer(folder, vocabulary, 1000);
}

/** Any checkpoint folder: config.json and model.safetensors. */
export async function makeCheckpoint(
  folder: string,
  config: object,
  specs: Parameters<typeof tiledParameters>[0],
): Promise<void> {
  if (existsSync(join(folder, 'config.json'))) return;
  mkdirSync(folder, { recursive: true });
  await tiledParameters(specs).save(join(folder, 'model.safetensors'), { format: 'pt' });
  writeFileSync(join(folder, 'config.json'), JSON.stringify(config));
}

/**
 * A tokenizer for any text. Each token id that a random policy may generate has a character of its own, so a generated
 * text has as many tokens when it is encoded again.
 */
async function makeTokenizer(folder: string, vocabulary: PocketVocabulary, ids: number): Promise<void> {
  await writePocketTokenizer(folder, vocabulary);
  const file = join(folder, 'tokenizer.json');
  const json = JSON.parse(readFileSync(file, 'utf8')) as { model: { vocab: Record<string, number> } };
  const { vocab } = json.model;
  const characters = [...range(0x4e00, 0x9fff), ...range(0xac00, 0xd7a3)];
  for (let id = Object.keys(vocab).length; id < ids; id++) vocab[String.fromCharCode(characters.pop()!)] = id;
  writeFileSync(file, JSON.stringify(json));
}

const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i);
