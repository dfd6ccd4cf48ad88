import { existsSync } from 'node:fs';
import { readText } from '../../data/formats/text.js';
import { basename, dirname, join } from 'node:path';
import ort from 'onnxruntime-node';
import { UserError } from '../../errors.js';
import type { Frame } from '../../data/formats/frame.js';
import { readJson } from '../../models/checkpoint/checkpoint.js';
import type { AskedVlm, VlmQuestion } from './asking-representer.js';

type Transformers = typeof import('@huggingface/transformers');

export interface OnnxVlmOptions {
  /** which hidden state is taken: that of the answer's last token, or of the prompt's */
  readonly position: 'answer' | 'prompt';
  readonly answer: 'yes' | 'no';
  readonly threads: number;
}

/** Possible paths of the graph in an export's folder. */
const GRAPHS = ['model.onnx', 'onnx/model.onnx'];
const INPUTS = ['input_ids', 'attention_mask', 'pixel_values'] as const;
const OUTPUTS = ['last_hidden_state', 'hidden_states'];

/** The parts of a LLaVA processor's configuration that decide how many tokens a picture takes. */
interface ImageTokens {
  readonly token: string;
  readonly patch: number;
  /** tokens besides those of the patches: the class token, if it is kept */
  readonly additional: number;
}

/**
 * A LLaVA-1.5 as one local ONNX graph (docs/vlm.md explains the export): inputs `input_ids` and `attention_mask`
 * [1, tokens] and `pixel_values` [1, 3, height, width], output `last_hidden_state` [1, tokens, width]. Tokenizer, chat
 * template and image processor come from @huggingface/transformers, which is imported with the first export.
 */
export class OnnxVlm implements AskedVlm {
  readonly manner: string;
  // one run of the graph uses all threads
  readonly concurrency = 1;

  private constructor(
    private readonly folder: string,
    private readonly session: ort.InferenceSession,
    private readonly output: string,
    private readonly library: Transformers,
    private readonly tokenizer: InstanceType<Transformers['PreTrainedTokenizer']>,
    private readonly images: InstanceType<Transformers['CLIPImageProcessor']>,
    private readonly template: string | undefined,
    private readonly imageTokens: ImageTokens,
    private readonly options: OnnxVlmOptions,
  ) {
    this.manner = options.position === 'prompt' ? 'prompt' : `answer ${options.answer}`;
  }

  /** @throws UserError if the folder is not such an export, or if @huggingface/transformers is not installed */
  static async load(folder: string, options: OnnxVlmOptions): Promise<OnnxVlm> {
    const { model_type: type } = readJson(join(folder, 'config.json')) as { model_type?: unknown };
    if (type !== 'llava') {
      throw new UserError(
        `${join(folder, 'config.json')}: model_type: expected "llava", got ${JSON.stringify(type)}; use represent.backend=vllm for other VLMs`,
      );
    }
    const library = await transformers();
    const session = await openGraph(folder, options.threads);
    const output = OUTPUTS.find((name) => session.outputNames.includes(name));
    const missing = INPUTS.find((name) => !session.inputNames.includes(name));
    if (missing !== undefined || output === undefined || session.inputNames.length !== INPUTS.length) {
      throw new UserError(
        `${folder}: expected a graph with inputs ${INPUTS.join(', ')} and output ${OUTPUTS.join(' or ')}, got ${session.inputNames.join(', ')} and ${session.outputNames.join(', ')}; export it again (docs/vlm.md)`,
      );
    }
    const tokenizer = await localTokenizer(library, folder);
    const images = new library.CLIPImageProcessor(imageConfig(folder) as never);
    return new OnnxVlm(
      folder,
      session,
      output,
      library,
      tokenizer,
      images,
      template(folder),
      imageTokens(folder),
      options,
    );
  }

  async vector({ frame, text }: VlmQuestion, dim: number | undefined, signal: AbortSignal): Promise<Float32Array> {
    signal.throwIfAborted();
    const { pixel_values: pixels } = (await this.images([this.picture(frame)])) as {
      pixel_values: { data: Float32Array; dims: number[] };
    };
    const ids = this.tokens(text, pixels.dims);
    const shape = [1, ids.length];
    const feeds = {
      input_ids: new ort.Tensor('int64', ids, shape),
      attention_mask: new ort.Tensor('int64', new BigInt64Array(ids.length).fill(1n), shape),
      pixel_values: new ort.Tensor('float32', pixels.data, pixels.dims),
    };
    const hidden = (await this.session.run(feeds, [this.output]))[this.output];
    const [rows, tokens, width] = hidden.dims;
    if (hidden.type !== 'float32' || hidden.dims.length !== 3 || rows !== 1 || (dim !== undefined && width !== dim)) {
      throw new UserError(
        `${this.folder}: expected ${this.output} of float32 [1, tokens, ${dim ?? 'width'}], got ${hidden.type} [${hidden.dims.join(', ')}]; export it again (docs/vlm.md)`,
      );
    }
    const vector = (hidden.data as Float32Array).slice((tokens - 1) * width, tokens * width);
    if (!vector.every(Number.isFinite)) {
      throw new UserError(
        `${this.folder}: the graph gave a representation with numbers that are not finite; export it again (docs/vlm.md)`,
      );
    }
    return vector;
  }

  /**
   * Token ids of a question: the chat template with the picture's tokens, up to the token whose hidden state is taken.
   * @param dims shape of the pixels, [1, 3, height, width]
   */
  tokens(text: string, dims: readonly number[]): BigInt64Array {
    const { position, answer } = this.options;
    const said = answer === 'no' ? 'No' : 'Yes';
    const messages: { role: string; content: unknown[] }[] = [
      { role: 'user', content: [{ type: 'image' }, { type: 'text', text }] },
    ];
    if (position === 'answer') messages.push({ role: 'assistant', content: [{ type: 'text', text: said }] });
    const rendered = this.tokenizer.apply_chat_template(messages as never, {
      tokenize: false,
      add_generation_prompt: position === 'prompt',
      ...(this.template === undefined ? {} : { chat_template: this.template }),
    }) as unknown as string;
    // drop what the template puts behind the answer (its end token), like vLLM's continue_final_message
    const end = position === 'answer' ? rendered.lastIndexOf(said) + said.length : rendered.length;
    const { token, patch, additional } = this.imageTokens;
    const count = Math.floor(dims[2] / patch) * Math.floor(dims[3] / patch) + additional;
    const parts = rendered.slice(0, end).split(token);
    if (parts.length !== 2) {
      throw new UserError(
        `${this.folder}: the chat template puts ${parts.length - 1} ${token} into the prompt, expected 1; use the checkpoint's own template`,
      );
    }
    const prompt = parts.join(token.repeat(count));
    const { bos_token: bos } = this.tokenizer as unknown as { bos_token?: string };
    const { input_ids: ids } = this.tokenizer(prompt, { add_special_tokens: !bos || !prompt.startsWith(bos) }) as {
      input_ids: { data: BigInt64Array };
    };
    return ids.data;
  }

  /** A screenshot in the image processor's form, without alpha (which is always 255). */
  private picture({ width, height, rgba }: Frame) {
    const rgb = new Uint8ClampedArray(3 * width * height);
    for (let from = 0, to = 0; from < rgba.length; from += 4) {
      rgb[to++] = rgba[from];
      rgb[to++] = rgba[from + 1];
      rgb[to++] = rgba[from + 2];
    }
    return new this.library.RawImage(rgb, width, height, 3);
  }
}

/** @huggingface/transformers, restricted to local files. @throws UserError if it is not installed */
async function transformers(): Promise<Transformers> {
  let library: Transformers;
  try {
    library = await import('@huggingface/transformers');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw error;
    throw new UserError(
      'represent.backend=onnx: needs the package @huggingface/transformers, which is not installed; run `npm install @huggingface/transformers`',
    );
  }
  Object.assign(library.env, { allowRemoteModels: false, useFSCache: false, useBrowserCache: false });
  return library;
}

async function openGraph(folder: string, threads: number): Promise<ort.InferenceSession> {
  const file = GRAPHS.map((name) => join(folder, name)).find((path) => existsSync(path));
  if (!file) throw new UserError(`${folder}: no ${GRAPHS.join(' or ')}; export the model (docs/vlm.md)`);
  try {
    // by path: weights of more than 2 GB are in files beside the graph
    return await ort.InferenceSession.create(file, { intraOpNumThreads: threads, interOpNumThreads: 1 });
  } catch (error) {
    throw new UserError(
      `${file}: ONNX Runtime cannot read it (${(error as Error).message.split('\n')[0]}); export it again (docs/vlm.md)`,
    );
  }
}

async function localTokenizer(library: Transformers, folder: string) {
  // read first for a better message: the library only says that it found no file
  for (const name of ['tokenizer.json', 'tokenizer_config.json']) readJson(join(folder, name));
  const before = library.env.localModelPath;
  library.env.localModelPath = `${dirname(folder)}/`;
  try {
    return await library.AutoTokenizer.from_pretrained(basename(folder), { local_files_only: true });
  } finally {
    library.env.localModelPath = before;
  }
}

/** The image processor's configuration: its own file, or part of the processor's file (transformers 5). */
function imageConfig(folder: string): unknown {
  const file = join(folder, 'preprocessor_config.json');
  if (existsSync(file)) return readJson(file);
  const whole = join(folder, 'processor_config.json');
  const { image_processor: config } = readJson(whole) as { image_processor?: unknown };
  if (config) return config;
  throw new UserError(
    `${whole}: no image_processor, and no preprocessor_config.json beside it; copy the file from the checkpoint`,
  );
}

/** The chat template from its own file; undefined if there is none (then it is in tokenizer_config.json). */
function template(folder: string): string | undefined {
  const jinja = join(folder, 'chat_template.jinja');
  if (existsSync(jinja)) return readText(jinja);
  const json = join(folder, 'chat_template.json');
  if (!existsSync(json)) return undefined;
  const { chat_template: text } = readJson(json) as { chat_template?: unknown };
  return typeof text === 'string' ? text : undefined;
}

/** Counts tokens like transformers' LlavaProcessor: the strategy "default" leaves out the class token. */
function imageTokens(folder: string): ImageTokens {
  const file = join(folder, 'processor_config.json');
  const processor = (existsSync(file) ? readJson(file) : {}) as Record<string, unknown>;
  const config = readJson(join(folder, 'config.json')) as Record<string, unknown>;
  const patch = processor.patch_size ?? (config.vision_config as { patch_size?: unknown } | undefined)?.patch_size;
  if (typeof patch !== 'number' || !(patch > 0)) {
    throw new UserError(`${file}: patch_size: expected a number, got ${JSON.stringify(patch)}`);
  }
  const strategy = processor.vision_feature_select_strategy ?? config.vision_feature_select_strategy ?? 'default';
  const additional = Number(processor.num_additional_image_tokens ?? 1) - (strategy === 'default' ? 1 : 0);
  const token = typeof processor.image_token === 'string' ? processor.image_token : '<image>';
  return { token, patch, additional };
}
