import { parseDocument } from 'yaml';
import { z } from 'zod';
import { linesOf, readText } from '../../data/formats/text.js';
import { UserError } from '../../errors.js';
import { plainValue } from '../../yaml.js';

/** The prompt of a served agent, with placeholders. It can be read from a YAML file (`served.template`). */
export const ServedTemplate = z.strictObject({
  /** the system message; if left out, there is none */
  system: z.string().optional(),
  /** the user message, with {task}; the screenshot goes to {screenshot}, or to the end without it */
  user: z.string(),
  /** one step of {history} */
  step: z.string().optional(),
  /** {history} before the first step @default '' */
  none: z.string().optional(),
  /** past answers become turns of the conversation, each after its screenshot if that is still shown; {history} is not needed */
  turns: z.boolean().optional(),
});
export type ServedTemplate = z.infer<typeof ServedTemplate>;

/** A past step, as templates can show it. */
export interface ToldStep {
  /** the whole answer */
  readonly answer: string;
  readonly operation: string;
  readonly summary: string;
  /** data URL of the screen of that step, if the prompt still shows it */
  readonly picture?: string;
}

/** The values for a template's placeholders. */
export interface Asked {
  readonly task: string;
  readonly steps: readonly ToldStep[];
  /** index of the first of `steps` in the episode, from 0; older steps are left out */
  readonly first: number;
  /** the current screen, as a data URL */
  readonly picture: string;
  /** its size in pixels */
  readonly width: number;
  readonly height: number;
}

export type Part = { type: 'text'; text: string } | { type: 'image_url'; image_url: { url: string } };

/** A message of OpenAI's chat completions. */
export type Message = { role: 'system' | 'assistant'; content: string } | { role: 'user'; content: readonly Part[] };

const PLACES = ['task', 'history', 'number', 'screen.width', 'screen.height', 'screenshot'];
const STEP_PLACES = ['number', 'index', 'answer', 'operation', 'summary'];
/** Most characters of a template file. */
const LARGEST = 1 << 20;

/**
 * Reads a template from a YAML file.
 * @throws UserError if it cannot be read or is not a template
 */
export function readTemplate(file: string): ServedTemplate {
  let text: string;
  try {
    // YAML 1.2 has no carriage returns alone
    text = linesOf(readText(file)).join('\n');
  } catch (error) {
    if (error instanceof UserError) throw new UserError(`served.template=${error.message}`);
    throw new UserError(`served.template=${file}: cannot be read (${(error as NodeJS.ErrnoException).code})`);
  }
  if (text.length > LARGEST)
    throw new UserError(`served.template=${file}: ${text.length} characters; expected at most ${LARGEST}`);
  let value: unknown;
  try {
    const document = parseDocument(text, { logLevel: 'silent' });
    if (document.errors.length > 0) throw document.errors[0];
    value = plainValue(document);
  } catch (error) {
    throw new UserError(`served.template=${file}: not valid YAML: ${(error as Error).message.split('\n')[0]}`);
  }
  const read = ServedTemplate.safeParse(value);
  if (!read.success) {
    const [{ path, message }] = read.error.issues;
    throw new UserError(
      `served.template=${file}: ${path.length > 0 ? `${path.join('.')}: ` : ''}${message}; expected system, user, step, none (strings), turns (true or false)`,
    );
  }
  const { system = '', user, step = '' } = read.data;
  for (const [what, words, places] of [
    ['system', system, PLACES],
    ['user', user, PLACES],
    ['step', step, STEP_PLACES],
  ] as const) {
    const unknown = [...words.matchAll(/\{([a-z][a-z_.]*)\}/g)].find(([, place]) => !places.includes(place));
    if (unknown) {
      const known = places.map((place) => `{${place}}`).join(', ');
      throw new UserError(`served.template=${file}: unknown placeholder ${unknown[0]} in ${what}; expected ${known}`);
    }
  }
  if (!`${system}${user}`.includes('{task}'))
    throw new UserError(`served.template=${file}: no {task} in system or user; the agent would not know what to do`);
  return read.data;
}

/** The messages that ask for the next action. Placeholders inside a filled-in value are not replaced. */
export function messagesOf(template: ServedTemplate, asked: Asked): Message[] {
  const { system, user, step = '', none = '', turns = false } = template;
  const { task, steps, first, picture, width, height } = asked;
  const told = steps.map((one, i) =>
    filled(step, { ...one, number: String(first + i + 1), index: String(first + i) }, STEP_PLACES),
  );
  const values: Readonly<Record<string, string>> = {
    task,
    history: told.length > 0 ? told.join('') : none,
    number: String(first + steps.length + 1),
    'screen.width': String(width),
    'screen.height': String(height),
  };
  const text = (words: string): string => filled(words, values, PLACES);
  const messages: Message[] = system === undefined ? [] : [{ role: 'system', content: text(system) }];
  const [before, ...after] = user.split('{screenshot}');
  if (!turns) {
    const content = [...words(text(before)), shown(picture), ...words(text(after.join('')))];
    return [...messages, { role: 'user', content }];
  }
  messages.push({ role: 'user', content: words(text(before + after.join(''))) });
  for (const { answer, picture: then } of steps) {
    if (then !== undefined) show(messages, then);
    messages.push({ role: 'assistant', content: answer });
  }
  show(messages, picture);
  return messages;
}

/** Adds a picture to the last message if it is the user's, else as a new user message. */
function show(messages: Message[], picture: string): void {
  const last = messages.at(-1);
  if (last?.role === 'user')
    messages[messages.length - 1] = { role: 'user', content: [...last.content, shown(picture)] };
  else messages.push({ role: 'user', content: [shown(picture)] });
}

function shown(url: string): Part {
  return { type: 'image_url', image_url: { url } };
}

function words(text: string): Part[] {
  return text.trim() === '' ? [] : [{ type: 'text', text: text.replace(/^\n+|\s+$/g, '') }];
}

function filled(words: string, values: object, places: readonly string[]): string {
  const known = values as Readonly<Record<string, string | undefined>>;
  return words.replace(/\{([a-z][a-z_.]*)\}/g, (place, name: string) =>
    places.includes(name) ? (known[name] ?? place) : place,
  );
}
