import { join } from 'node:path';
import { AnswerCache } from '../../src/agents/representers/answer-cache.js';
import { AskingRepresenter, type AskedCounts } from '../../src/agents/representers/asking-representer.js';
import { PocketRepresenter } from '../../src/agents/representers/pocket-representer.js';
import type { Representer } from '../../src/agents/representers/representer.js';
import { TextTokenizer } from '../../src/agents/text/tokenizer.js';
import { verifySet } from '../../src/data/store/manifest.js';
import { VllmClient } from '../../src/agents/representers/vllm-client.js';
import { UserError } from '../../src/errors.js';
import { Parameters } from '../../src/graph/index.js';
import { autoUISpecs } from '../../src/models/autoui/config.js';
import { checkParameters } from '../../src/models/checkpoint/checkpoint.js';
import { loadConvTower } from '../../src/models/checkpoint/tower-folder.js';
import type { StageContext } from '../../src/runner/stage.js';
import type { Represent } from './represent-settings.js';
import { cacheFolder, once, runtimeOf } from '../resources.js';
import { jsonServer } from '../episodes/server-settings.js';
import { checkVlmReference, hiddenSize, readVlmReference, type VlmReference } from './reference.js';
import { readVlmConfig } from '../vlm.js';

/** The loaded VLM of a run, with the number of calls if it counts them. */
export interface LoadedVlm {
  readonly representer: Representer;
  readonly counts?: AskedCounts;
}

/**
 * A VLM with the backend of `represent.*`, for any stage.
 * @param dataset `vlm`, or that of another run
 */
export function vlmOf(ctx: StageContext<unknown>, dataset: string): Promise<LoadedVlm> {
  return once(ctx, `vlm ${dataset}`, async () => {
    const settings = ctx.config.represent as Represent;
    const reference = checkVlm(ctx, dataset);
    if (!reference) return { representer: await pocket(ctx, ctx.dataset(dataset)) };
    const vlm =
      settings.backend === 'vllm'
        ? vllm(ctx, settings, reference)
        : await onnx(reference.folder, settings, ctx.threads);
    const name = reference.name.replace(/[^\w.-]+/g, '-').slice(-40);
    const cache = AnswerCache.open(cacheFolder(ctx, `vlm-${settings.backend}-${name}-${reference.fingerprint}`));
    const representer = new AskingRepresenter(vlm, cache, hiddenSize(reference));
    return { representer, counts: representer.counts };
  });
}

/**
 * Checks that `represent.*` can work with a VLM, without loading it.
 * @returns the reference to an external VLM; undefined for the pocket VLM
 * @throws UserError if it cannot
 */
export function checkVlm(ctx: StageContext<unknown>, dataset: string): VlmReference | undefined {
  const { backend, position, answer, chat_url: chatUrl } = ctx.config.represent as Represent;
  const folder = ctx.dataset(dataset);
  const reference = readVlmReference(folder);
  checkBackend(backend, reference, folder);
  if (backend === 'vllm' && position === 'answer' && answer === 'generated' && chatUrl === '') {
    throw new UserError(
      'represent.answer=generated: needs represent.chat_url, a server that generates with the same model (a pooling server does not)',
    );
  }
  if (backend === 'onnx' && answer === 'generated') {
    throw new UserError(
      'represent.answer=generated: represent.backend=onnx does not generate; set represent.answer=yes or no',
    );
  }
  if (reference) checkVlmReference(reference);
  return reference;
}

/** @throws UserError if the backend cannot run the VLM of this run */
function checkBackend(backend: Represent['backend'], reference: VlmReference | undefined, folder: string): void {
  const file = join(folder, 'config.json');
  if (backend === 'pocket' && reference) {
    throw new UserError(
      `${file}: the VLM of this run is ${JSON.stringify(reference.name)}, which represent.backend=pocket cannot run; set represent.backend=vllm or onnx, or models.vlm='' for the pocket VLM`,
    );
  }
  if (backend !== 'pocket' && !reference) {
    throw new UserError(
      `${file}: the VLM of this run is the pocket one, which represent.backend=${backend} cannot run; set models.vlm to a VLM (or \`critiq vlm import\` one into a new run), or represent.backend=pocket`,
    );
  }
  if (backend === 'onnx' && reference?.folder === '') {
    throw new UserError(
      `${file}: ${JSON.stringify(reference.name)} is only a server's name, and represent.backend=onnx reads files; set models.vlm to the folder of an export (docs/vlm.md)`,
    );
  }
}

async function pocket(ctx: StageContext<unknown>, folder: string): Promise<PocketRepresenter> {
  await verifySet(folder);
  const runtime = await runtimeOf(ctx);
  const config = readVlmConfig(folder);
  const params = Parameters.load(join(folder, 'model.safetensors'));
  checkParameters(params, autoUISpecs(config.autoui), folder);
  const tower = loadConvTower(runtime, join(folder, 'vision'));
  return new PocketRepresenter(runtime, params, config, TextTokenizer.load(folder), tower);
}

function vllm(ctx: StageContext<unknown>, settings: Represent, { name }: VlmReference): VllmClient {
  const { url, chat_url, position, answer, concurrency } = settings;
  const server = (setting: string, at: string) =>
    jsonServer(settings, { url: at, setting, seed: ctx.seed, docs: 'docs/vlm.md' });
  return new VllmClient({
    server: server('represent.url', url),
    chat: chat_url === '' ? undefined : server('represent.chat_url', chat_url),
    model: name,
    position,
    answer,
    concurrency,
    warn: (line) => ctx.log.warn(line),
  });
}

async function onnx(folder: string, { position, answer }: Represent, threads: number) {
  const { OnnxVlm } = await import('../../src/agents/representers/onnx-vlm.js');
  // checkVlm has rejected `generated`
  return OnnxVlm.load(folder, { position, answer: answer as 'yes' | 'no', threads });
}
