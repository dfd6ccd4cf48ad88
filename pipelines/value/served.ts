import { setMaxListeners } from 'node:events';
import { join } from 'node:path';
import { ServedValue, valueCache } from '../../src/agents/value/served-value.js';
import type { StageContext } from '../../src/runner/stage.js';
import { jsonServer } from '../episodes/server-settings.js';
import type { VlmReference } from '../vlm/reference.js';
import type { Value } from './settings.js';

/** A value model behind a server, by the settings `value.*`. Its answers are shared by all runs below `data`. */
export function servedValue(ctx: StageContext<unknown>, settings: Value, reference: VlmReference): ServedValue {
  const { url, history, max_pixels, concurrency } = settings;
  // every question under way listens
  setMaxListeners(0, ctx.signal);
  return new ServedValue({
    server: jsonServer(settings, { url, setting: 'value.url', seed: ctx.seed, docs: 'docs/vem.md' }),
    model: reference.name,
    fingerprint: reference.fingerprint,
    history,
    maxPixels: max_pixels,
    concurrency,
    cache: valueCache(join(ctx.config.data, '.cache', 'value')),
    warn: (line) => ctx.log.warn(line),
  });
}
