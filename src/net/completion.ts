import { brief } from './brief.js';
import { WrongAnswer } from './json-server.js';

/** The answer in a chat completion (OpenAI's API reference, "Create chat completion"), in the forms that servers give it. */
export interface Completion {
  /** what the model said, without its thoughts */
  readonly text: string;
  /** its thoughts, if the server keeps them apart; '' if not */
  readonly thoughts: string;
  /** a function call that the server has parsed, as the model's own text `<tool_call>...</tool_call>`; '' if there is none */
  readonly call: string;
  /** the words of a refusal; '' if there is none */
  readonly refusal: string;
  /** `finish_reason` */
  readonly finish: string | undefined;
}

interface Choice {
  readonly finish_reason?: unknown;
  readonly error?: unknown;
  readonly message?: {
    readonly content?: unknown;
    readonly refusal?: unknown;
    readonly reasoning_content?: unknown;
    readonly reasoning?: unknown;
    readonly tool_calls?: unknown;
  };
}

/** @throws WrongAnswer if there is no answer in it */
export function readCompletion(answer: unknown): Completion {
  const { choices } = (answer ?? {}) as { choices?: unknown };
  const [choice] = (Array.isArray(choices) ? choices : []) as (Choice | null)[];
  // OpenRouter puts a provider's error there
  if (choice?.error) throw new WrongAnswer(`answered with an error: ${brief(choice.error)}`);
  const message = choice?.message;
  if (typeof message !== 'object' || message === null) throw new WrongAnswer(`answered no choices: ${brief(answer)}`);
  const { content, refusal, reasoning_content: reasoned, reasoning } = message;
  return {
    text: withoutThoughts(contentText(content)),
    thoughts: [reasoned, reasoning].find((text) => typeof text === 'string') ?? '',
    call: calledFunction(message.tool_calls),
    refusal: typeof refusal === 'string' ? refusal : '',
    finish: typeof choice?.finish_reason === 'string' ? choice.finish_reason : undefined,
  };
}

/** The tokens that an answer reports, of the question and of the answer. */
export function tokensOf(answer: unknown): number | undefined {
  const { usage } = (answer ?? {}) as { usage?: { total_tokens?: unknown } | null };
  const total = usage?.total_tokens;
  return typeof total === 'number' ? total : undefined;
}

/** The name under which the server answers. */
export function modelOf(answer: unknown): unknown {
  return (answer as { model?: unknown } | null)?.model;
}

/** A text, or the texts in a list of parts; parts that are thoughts (`type: "thinking"`) are left out. */
function contentText(content: unknown): string {
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) return '';
  return (content as unknown[]).map(partText).join('');
}

function partText(part: unknown): string {
  if (typeof part === 'string') return part;
  const { type = 'text', text } = (part ?? {}) as { type?: unknown; text?: unknown };
  if (type !== 'text' && type !== 'output_text') return '';
  const value = typeof text === 'object' && text !== null ? (text as { value?: unknown }).value : text;
  return typeof value === 'string' ? value : '';
}

/**
 * A function call that the server has parsed (vLLM's --enable-auto-tool-choice), put back into the model's own form. TGI and
 * llama.cpp give the arguments as an object instead of a text.
 */
function calledFunction(calls: unknown): string {
  const [call] = (Array.isArray(calls) ? calls : []) as ({ readonly function?: unknown } | null)[];
  const { name, arguments: given } = (call?.function ?? {}) as { name?: unknown; arguments?: unknown };
  if (typeof name !== 'string') return '';
  const args = typeof given === 'string' ? given : JSON.stringify(given ?? {});
  return `<tool_call>\n{"name": ${JSON.stringify(name)}, "arguments": ${args}}\n</tool_call>`;
}

/** The tags around thoughts: DeepSeek's and Qwen's, Kimi's ◁think▷, Magistral's [THINK], Seed's <seed:think>. */
const THOUGHT =
  /<(\/?)(?:think|thinking|thoughts?|reasoning|analysis|seed:think|think_never_used_\w+)>|◁(\/?)think▷|\[(\/?)THINK\]/gi;
/** gpt-oss's channels, if the server leaves them in: the last is the answer. */
const FINAL_CHANNEL = '<|channel|>final<|message|>';
/** Tokens that end a turn, if the server leaves them in. */
const ENDS = ['<|im_end|>', '<|endoftext|>', '<|end|>', '<|return|>', '<|eot_id|>', '<end_of_turn>', '</s>'];
/** GLM's marks around its answer. */
const BOX = /<\|(?:begin|end)_of_box\|>/g;

/**
 * A model's text without its thoughts: `<think>...</think>` and the like, anywhere; everything before `</think>` if the
 * opening tag is missing (some chat templates write it); everything after `<think>` if it was cut off.
 */
export function withoutThoughts(text: string): string {
  const channel = text.lastIndexOf(FINAL_CHANNEL);
  const said = channel < 0 ? text : text.slice(channel + FINAL_CHANNEL.length);
  let out = '';
  let at = 0;
  let thinks = false;
  for (const tag of said.matchAll(THOUGHT)) {
    const closes = (tag[1] ?? tag[2] ?? tag[3]) === '/';
    if (!closes && thinks) continue;
    if (closes) out = thinks ? out : '';
    else out += said.slice(at, tag.index);
    thinks = !closes;
    at = tag.index + tag[0].length;
  }
  if (!thinks) out += said.slice(at);
  return unmarked(out.replace(BOX, ''));
}

function unmarked(text: string): string {
  const trimmed = text.trim();
  const end = ENDS.find((token) => trimmed.endsWith(token));
  return end === undefined ? trimmed : unmarked(trimmed.slice(0, -end.length));
}
