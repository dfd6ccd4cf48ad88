import { z } from 'zod';
import { ServedAgent } from '../../src/agents/served/agent.js';
import { ServedChat } from '../../src/agents/served/chat.js';
import { readTemplate } from '../../src/agents/served/template.js';
import { counted } from '../../src/counted.js';
import { UserError } from '../../src/errors.js';
import { Random } from '../../src/random.js';
import { credentialIn } from '../../src/secrets/known.js';
import type { StageContext } from '../../src/runner/stage.js';
import type { Config } from '../../src/settings/settings.js';
import { answerFormat, extensions } from '../plugins/extensions.js';
import { once } from '../resources.js';
import { BackoffMs, jsonServer, plainUrl, Url, VariableName } from './server-settings.js';

/** Who acts in a stage that runs episodes. */
export const AgentKind = z
  .enum(['policy', 'served'])
  .default('policy')
  .describe('who acts: a policy of this run, or a third-party agent behind a server (`served.*`)');

/** Part of the fingerprint: raise it when a built-in template or the parsing of answers changes. */
const VERSION = 2;

export const ServedSettings = z.object({
  model: z.string().default('').describe("name of the agent's model on its server"),
  url: Url.default('http://127.0.0.1:8000').describe(
    'URL of a server with the chat completions API of OpenAI (vLLM, SGLang, llama.cpp, TGI, OpenRouter, ...), with or without a trailing `/v1`',
  ),
  name: z
    .union([z.literal(''), z.string().regex(/^[\w+][\w.+-]{0,80}$/, 'letters, digits, _ . + -')])
    .default('')
    .describe('name of its evaluations: `eval/served-<name>-test`; empty: the last part of the model name'),
  api_key_env: VariableName.default('SERVED_API_KEY').describe(
    "name of the environment variable with the server's API key, if it needs one; the key itself is never a setting",
  ),
  format: z
    .enum(['autoui', 'cogagent', 'mobile_use', 'ui_tars'])
    .default('mobile_use')
    .describe(
      "answer format, and the prompt unless `served.template` names another: Auto-UI's text; CogAgent's Grounded Operation; mobile_use function calls in JSON (Qwen2.5-VL, Qwen3-VL); UI-TARS's Thought and Action (docs/served-agents.md)",
    ),
  template: z
    .string()
    .default('')
    .describe('YAML file with the prompt: system, user, step, none, turns; empty: the prompt of the format'),
  history: z
    .int()
    .min(0)
    .max(1000)
    .default(50)
    .describe('maximum past answers in the prompt; the most recent are kept'),
  past_screens: z
    .union([z.literal('auto'), z.int().min(0).max(32)])
    .default('auto')
    .describe('screens of past steps shown beside the current one; auto: 4 for ui_tars, otherwise 0'),
  coordinates: z
    .enum(['auto', 'pixels', 'thousandths'])
    .default('auto')
    .describe(
      'unit of its coordinates: pixels of the image it was sent, or thousandths of width and height (UI-TARS 1.0, Qwen3-VL); auto: thousandths for cogagent, otherwise pixels',
    ),
  scroll: z
    .enum(['auto', 'content', 'finger'])
    .default('auto')
    .describe(
      'meaning of "scroll down": show what is below, or move a finger down; auto: finger for cogagent, as in its Android client, otherwise content',
    ),
  enter: z
    .enum(['auto', 'always', 'said'])
    .default('auto')
    .describe(
      'whether ENTER is pressed after each text it types, or only when it asks for it; auto: always for cogagent, as in its Android client, otherwise said',
    ),
  resize: z
    .enum(['auto', 'patches', 'none'])
    .default('auto')
    .describe(
      'resize the screen to whole patches before sending it, as the preprocessing of Qwen-VL models does, or send it unchanged; auto: patches for mobile_use and ui_tars, otherwise none',
    ),
  patch: z
    .int()
    .min(1)
    .max(256)
    .default(28)
    .describe('side of a patch in pixels: 28 for Qwen2-VL and Qwen2.5-VL, 32 for Qwen3-VL'),
  min_pixels: z.int().min(1).default(3136).describe('minimum pixels of a resized screen (UI-TARS: 78400)'),
  max_pixels: z
    .int()
    .min(1024)
    .max(1 << 26)
    .default(12_845_056)
    .describe("maximum pixels of a resized screen; fewer cost less, and the server's own limit must not be lower"),
  image: z.enum(['png', 'jpeg']).default('png').describe('image format in which screens are sent'),
  quality: z.int().min(1).max(100).default(90).describe('JPEG quality'),
  temperature: z.number().min(0).default(0).describe('sampling temperature; 0 is greedy'),
  max_tokens: z
    .int()
    .min(0)
    .default(512)
    .describe("maximum tokens of an answer; a truncated answer is invalid. 0: the server's own limit"),
  send_seed: z
    .boolean()
    .default(true)
    .describe('send a seed, derived from the seed of the run, with each request if the temperature is not 0'),
  body: z
    .record(z.string(), z.unknown())
    .refine((value) => credentialIn(value) === undefined, {
      error: ({ input }) =>
        `no key in the settings, which are stored: put ${credentialIn(input)} into the environment variable of served.api_key_env`,
    })
    .default({})
    .describe('additional fields of each request, for example `{top_p: 0.9}`'),
  concurrency: z.int().min(1).max(1024).default(16).describe('parallel requests to the server'),
  timeout_ms: z.int().min(1).max(600_000).default(120_000).describe('time limit of a request, in milliseconds'),
  retries: z
    .int()
    .min(0)
    .max(100)
    .default(5)
    .describe('retries of a request when the server fails; after that the run ends with an error'),
  backoff_ms: BackoffMs,
});
export type ServedSettings = z.infer<typeof ServedSettings>;

export const servedSettings = (config: Config): ServedSettings => config.served as ServedSettings;

/** Name of the served agent's evaluations. */
export function servedName(config: Config): string {
  const { name, model } = servedSettings(config);
  const own = name === '' ? model.replace(/^.*\//, '').replace(/[^\w.+-]+/g, '-').replace(/^[-.]+/, '').slice(0, 80) : name; // prettier-ignore
  return `served-${own === '' ? 'agent' : own}`;
}

/** Settings that affect what the agent does, with `auto` resolved by the format. @throws UserError */
function choices(config: Config) {
  const settings = servedSettings(config);
  const format = answerFormat(settings.format);
  const { past_screens, coordinates, scroll, enter, resize, template, patch, min_pixels, max_pixels } = settings;
  if (min_pixels > max_pixels)
    throw new UserError(
      `served.min_pixels=${min_pixels}: expected at most served.max_pixels=${max_pixels}; lower one or raise the other`,
    );
  const patches = resize === 'auto' ? format.patches : resize === 'patches';
  const units = coordinates === 'auto' ? format.coordinates : coordinates;
  const own = units === 'thousandths' ? (format.thousandths ?? format.template) : format.template;
  return {
    template: template === '' ? own : readTemplate(template),
    pastScreens: past_screens === 'auto' ? format.pastScreens : past_screens,
    coordinates: units,
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
 * Settings of the served agent that affect the outcome of an episode, for the fingerprint of a stage: not the server's
 * address, time limits or retries. @throws UserError if the template is invalid
 */
function servedFingerprint(config: Config): Readonly<Record<string, unknown>> {
  const { model, format, history, temperature, max_tokens, send_seed, body } = servedSettings(config);
  const own = extensions().answers.get(format);
  const decided = {
    ...choices(config),
    send_seed: send_seed && temperature > 0,
    ...(own && { answers: own.version ?? 1 }),
  };
  return { served: { version: VERSION, model, format, history, temperature, max_tokens, body, ...decided } };
}

/** The agent of `served.*`. @throws UserError if its settings cannot work */
export function servedAgent(ctx: StageContext<unknown>, seed: number): Promise<ServedAgent> {
  return once(ctx, 'served agent', () => openServed(ctx.config, seed, (line) => ctx.log.warn(line)));
}

/**
 * What a stage's agent adds to its fingerprint: nothing for a policy, so that runs from before there were served agents
 * stay valid. @throws UserError if the template is invalid
 */
export function agentFingerprint(agent: z.infer<typeof AgentKind>, config: Config): Readonly<Record<string, unknown>> {
  return agent === 'served' ? servedFingerprint(config) : {};
}

/** URL of the served agent's server. */
export function servedUrl(config: Config): string {
  return plainUrl(servedSettings(config).url);
}

/** @throws UserError if the settings cannot work */
export function openServed(config: Config, seed: number, warn: (line: string) => void): ServedAgent {
  const settings = servedSettings(config);
  const { model, format, temperature, max_tokens, send_seed, body, history, concurrency } = settings;
  if (model === '') throw new UserError('a served agent needs served.model, the name of the model on its server');
  const own = ['model', 'messages', 'stream', 'n'].find((field) => field in body);
  if (own) throw new UserError(`served.body.${own}: critiq sets this field itself; remove it`);
  const chat = new ServedChat({
    server: jsonServer(settings, {
      url: settings.url,
      setting: 'served.url',
      seed: config.seed,
      docs: 'docs/served-agents.md',
    }),
    model,
    temperature,
    maxTokens: max_tokens,
    body,
  });
  return new ServedAgent({
    chat,
    model,
    read: answerFormat(format).read,
    ...choices(config),
    history,
    seed: send_seed && temperature > 0 ? new Random(seed, 'served').int(2 ** 31) : undefined,
    concurrency,
    warn,
  });
}

/** A log line on what the served agent answered. */
export function servedSummary({ counts: { answered, invalid } }: ServedAgent): string {
  return `served agent: ${counted(answered, 'answer')}, ${invalid} invalid`;
}
