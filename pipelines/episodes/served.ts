import { z } from 'zod';
import { ServedAgent } from '../../src/agents/served/agent.js';
import { ServedChat } from '../../src/agents/served/chat.js';
import { SERVED_FORMATS, type ServedFormatName } from '../../src/agents/served/formats.js';
import { readTemplate } from '../../src/agents/served/template.js';
import { UserError } from '../../src/errors.js';
import { Random } from '../../src/random.js';
import type { StageContext } from '../../src/runner/stage.js';
import type { Config } from '../../src/settings/settings.js';
import { once } from '../resources.js';
import { BackoffMs, plainUrl, Url, VariableName } from './server-settings.js';

/** Who acts in a stage that runs episodes: a policy of this run, or the agent of `served.*`. */
export const AgentKind = z
  .enum(['policy', 'served'])
  .default('policy')
  .describe('who acts: a policy of this run, or an agent that is not ours, behind a server (`served.*`)');

/** Raised when built-in templates or the reading of answers change. */
const VERSION = 1;

export const ServedSettings = z.object({
  model: z.string().default('').describe("name of the agent's model as its server knows it"),
  url: Url.default('http://127.0.0.1:8000').describe(
    "its server, which speaks OpenAI's chat completions (vLLM, SGLang, llama.cpp, TGI, OpenRouter, ...); with or without `/v1` at its end",
  ),
  name: z
    .union([z.literal(''), z.string().regex(/^[\w+][\w.+-]{0,80}$/, 'letters, digits, _ . + -')])
    .default('')
    .describe('what its evaluations are called: `eval/served-<name>-test`; empty: the end of the name of its model'),
  api_key_env: VariableName.default('SERVED_API_KEY').describe(
    "name of the environment variable that holds the server's key, if it wants one; the key itself is no setting",
  ),
  format: z
    .enum(['autoui', 'cogagent', 'mobile_use', 'ui_tars'])
    .default('mobile_use')
    .describe(
      "how it answers, and what it is asked unless `served.template` says otherwise: Auto-UI's text; CogAgent's Grounded Operation; calls of the function mobile_use in JSON (Qwen2.5-VL, Qwen3-VL); UI-TARS's Thought and Action (docs/served-agents.md)",
    ),
  template: z
    .string()
    .default('')
    .describe('YAML file of the prompt: system, user, step, none, turns; empty: the one of the format'),
  history: z.int().min(0).max(1000).default(50).describe('past answers that it is told of at most, the last ones'),
  past_screens: z
    .union([z.literal('auto'), z.int().min(0).max(32)])
    .default('auto')
    .describe('screens of past steps that it is shown beside the current one; auto: 4 for ui_tars, else 0'),
  coordinates: z
    .enum(['auto', 'pixels', 'thousandths'])
    .default('auto')
    .describe(
      'its points are pixels of the picture it was sent, or thousandths of width and height (UI-TARS 1.0, Qwen3-VL); auto: thousandths for cogagent, else pixels',
    ),
  scroll: z
    .enum(['auto', 'content', 'finger'])
    .default('auto')
    .describe(
      'what to scroll down means: to see what is below, or to move a finger down; auto: finger for cogagent, as in its Android client, else content',
    ),
  enter: z
    .enum(['auto', 'always', 'said'])
    .default('auto')
    .describe(
      'whether ENTER is pressed after each text that it types, or only where it says so; auto: always for cogagent, as in its Android client',
    ),
  resize: z
    .enum(['auto', 'patches', 'none'])
    .default('auto')
    .describe(
      'send the screen resized to whole patches, as the preprocessing of Qwen-VL models would, or as it is; auto: patches for mobile_use and ui_tars',
    ),
  patch: z
    .int()
    .min(1)
    .max(256)
    .default(28)
    .describe('side of a patch in pixels: 28 for Qwen2-VL and Qwen2.5-VL, 32 for Qwen3-VL'),
  min_pixels: z.int().min(1).default(3136).describe('pixels of a resized screen at least (UI-TARS: 78400)'),
  max_pixels: z
    .int()
    .min(1024)
    .max(1 << 26)
    .default(12_845_056)
    .describe('pixels at most; fewer cost less, and the server must not be set to fewer still'),
  image: z.enum(['png', 'jpeg']).default('png').describe('how screens are sent'),
  quality: z.int().min(1).max(100).default(90).describe('quality of a JPEG'),
  temperature: z.number().min(0).default(0).describe('of its sampling; 0 is greedy'),
  max_tokens: z
    .int()
    .min(0)
    .default(512)
    .describe('tokens of an answer at most; one that is cut off is invalid. 0: as many as the server likes'),
  send_seed: z
    .boolean()
    .default(true)
    .describe('send a seed with each request, made from the seed of the run, where the temperature is not 0'),
  body: z
    .record(z.string(), z.unknown())
    .default({})
    .describe('more fields of each request, for example `{top_p: 0.9}`'),
  concurrency: z.int().min(1).max(1024).default(16).describe('requests to the server at the same time'),
  timeout_ms: z.int().min(1).max(600_000).default(120_000).describe('milliseconds that a request may take'),
  retries: z
    .int()
    .min(0)
    .max(100)
    .default(5)
    .describe('times that a request is sent again where the server fails, before the run ends with an error'),
  backoff_ms: BackoffMs,
});
export type ServedSettings = z.infer<typeof ServedSettings>;

export const servedSettings = (config: Config): ServedSettings => config.served as ServedSettings;

/** What evaluations of the served agent are called. */
export function servedName(config: Config): string {
  const { name, model } = servedSettings(config);
  const own = name === '' ? model.replace(/^.*\//, '').replace(/[^\w.+-]+/g, '-').replace(/^[-.]+/, '').slice(0, 80) : name; // prettier-ignore
  return `served-${own === '' ? 'agent' : own}`;
}

/** What of the settings decides what the agent does, the format's own choices made out. @throws UserError */
function choices(config: Config) {
  const settings = servedSettings(config);
  const format = SERVED_FORMATS[settings.format as ServedFormatName];
  const { past_screens, coordinates, scroll, enter, resize, template, patch, min_pixels, max_pixels } = settings;
  if (min_pixels > max_pixels)
    throw new UserError(`served.min_pixels=${min_pixels} is more than served.max_pixels=${max_pixels}`);
  const patches = resize === 'auto' ? format.patches : resize === 'patches';
  return {
    template: template === '' ? format.template : readTemplate(template),
    pastScreens: past_screens === 'auto' ? format.pastScreens : past_screens,
    coordinates: coordinates === 'auto' ? format.coordinates : coordinates,
    scroll: scroll === 'auto' ? format.scroll : scroll,
    enter: enter === 'auto' ? format.enter : enter === 'always',
    picture: {
      type: settings.image,
      quality: settings.quality,
      ...(patches ? { patches: { factor: patch, minPixels: min_pixels, maxPixels: max_pixels } } : {}),
    },
  };
}

/**
 * What of the served agent decides what comes of an episode, for the fingerprint of a stage: none of where the server is and
 * how patiently it is asked. @throws UserError where the template is none
 */
function servedFingerprint(config: Config): Readonly<Record<string, unknown>> {
  const { model, format, history, temperature, max_tokens, send_seed, body } = servedSettings(config);
  const decided = { ...choices(config), send_seed: send_seed && temperature > 0 };
  return { served: { version: VERSION, model, format, history, temperature, max_tokens, body, ...decided } };
}

/** The agent of `served.*`. @throws UserError where its settings cannot work */
export function servedAgent(ctx: StageContext<unknown>, seed: number): Promise<ServedAgent> {
  return once(ctx, 'served agent', () => openServed(ctx.config, seed, (line) => ctx.log.warn(line)));
}

/**
 * What a stage's agent adds to the fingerprint of its settings: nothing for a policy, which is all there was once.
 * @throws UserError where the template is none
 */
export function agentFingerprint(agent: z.infer<typeof AgentKind>, config: Config): Readonly<Record<string, unknown>> {
  return agent === 'served' ? servedFingerprint(config) : {};
}

/** Where the server of the served agent is. */
export function servedUrl(config: Config): string {
  return plainUrl(servedSettings(config).url);
}

/** @throws UserError where the settings cannot work */
export function openServed(config: Config, seed: number, warn: (line: string) => void): ServedAgent {
  const settings = servedSettings(config);
  const { model, format, temperature, max_tokens, send_seed, body, api_key_env, history, concurrency } = settings;
  if (model === '') throw new UserError('a served agent needs served.model, the name of the model on its server');
  const own = ['model', 'messages', 'stream', 'n'].find((field) => field in body);
  if (own) throw new UserError(`served.body.${own}: is for critiq to say; take it out`);
  const chat = new ServedChat({
    server: {
      url: servedUrl(config),
      setting: 'served.url',
      apiKey: process.env[api_key_env]?.trim() || undefined,
      apiKeyEnv: api_key_env,
      timeoutMs: settings.timeout_ms,
      retries: settings.retries,
      backoffMs: settings.backoff_ms,
      seed: config.seed,
      docs: 'docs/served-agents.md',
    },
    model,
    temperature,
    maxTokens: max_tokens,
    body,
  });
  return new ServedAgent({
    chat,
    model,
    read: SERVED_FORMATS[format].read,
    ...choices(config),
    history,
    seed: send_seed && temperature > 0 ? new Random(seed, 'served').int(2 ** 31) : undefined,
    concurrency,
    warn,
  });
}

/** What the served agent has answered, as a line of the log. */
export function servedSummary({ counts: { answered, invalid } }: ServedAgent): string {
  return `served agent: ${answered} answers, ${invalid} of them no action`;
}
