import { join } from 'node:path';
import { PocketValue } from '../../src/agents/value/pocket-value.js';
import type { ValueModel } from '../../src/agents/value/value-model.js';
import { TextTokenizer } from '../../src/agents/text/tokenizer.js';
import { UserError } from '../../src/errors.js';
import { Parameters } from '../../src/graph/index.js';
import { parseAutoUIConfig } from '../../src/models/autoui/config.js';
import { checkParameters, readJson } from '../../src/models/checkpoint/checkpoint.js';
import { pocketValueSpecs, type PocketValueConfig } from '../../src/models/pocket/value.js';
import { loadConvTower } from '../../src/models/checkpoint/tower-folder.js';
import type { StageContext } from '../../src/runner/stage.js';
import { once, runtimeOf } from '../resources.js';
import { checkVlmReference, readVlmReference } from '../vlm/reference.js';
import { servedValue } from './served.js';
import type { Value } from './settings.js';

/** Reads the configuration in the folder of a pocket value model. @throws UserError if it is that of something else */
export function readPocketValueConfig(folder: string): PocketValueConfig {
  const file = join(folder, 'config.json');
  const json = readJson(file) as Record<string, unknown>;
  const numbers = ['bad', 'good', 'history', 'hidden'] as const;
  if (json.model_type !== 'critiq-pocket-value' || !numbers.every((name) => Number.isInteger(json[name])))
    throw new UserError(
      `${file}: expected model_type "critiq-pocket-value" with ${numbers.join(', ')}, got ${JSON.stringify(json.model_type)}`,
    );
  const { bad, good, history, hidden } = json as Record<(typeof numbers)[number], number>;
  return {
    model_type: 'critiq-pocket-value',
    autoui: parseAutoUIConfig(json.autoui, file),
    bad,
    good,
    history,
    hidden,
  };
}

/** The frozen value model of a data set `value`. @throws UserError if it is damaged, or its server is set up wrongly */
export function valueModelOf(ctx: StageContext<unknown>, dataset: string): Promise<ValueModel> {
  return once(ctx, `value model ${dataset}`, async () => {
    const folder = ctx.dataset(dataset);
    const reference = readVlmReference(folder, 'value');
    if (reference) {
      checkVlmReference(reference, 'value');
      return servedValue(ctx, ctx.config.value as Value, reference);
    }
    const config = readPocketValueConfig(folder);
    const runtime = await runtimeOf(ctx);
    const params = Parameters.load(join(folder, 'model.safetensors'));
    checkParameters(params, pocketValueSpecs(config), folder);
    const tower = loadConvTower(runtime, join(folder, 'vision'));
    return new PocketValue(runtime, params, config, TextTokenizer.load(folder), tower);
  });
}
