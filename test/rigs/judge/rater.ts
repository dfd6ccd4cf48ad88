/**
 * A test server for the judges of steps (OpenAI's `/v1/chat/completions`, Gemini's `:generateContent`). Rating and faults
 * depend only on the content of the question and on how often it came. It counts what a real server would bill.
 */
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** How the server answers a request. */
export type Rated =
  | 'well'
  | 'busy' // 429
  | 'broken' // 500
  | 'words' // a rating in free words
  | 'three' // the rating 3
  | 'cut' // half an object
  | 'declined'
  | 'no key'; // 401

/** A question that arrived. */
export interface RaterAsked {
  readonly kind: 'openai' | 'gemini';
  /** hash of texts and pictures */
  readonly content: string;
  readonly body: Record<string, unknown>;
  readonly system: string;
  /** texts, and pictures as data URLs, in order */
  readonly parts: readonly string[];
}

export interface RaterOptions {
  /** @param nth how often the same content came before */
  readonly behave?: (asked: RaterAsked, nth: number) => Rated;
  readonly rate?: (asked: RaterAsked) => 1 | 2;
  /** called after each good answer has been handed to the system, with their number so far */
  readonly onGood?: (count: number) => void;
  /** milliseconds before each answer */
  readonly delayMs?: number;
}

export const RATER = 'tiny-rater';
export const RATER_TOKENS = 900;

/** A number in [0, 1) from the content and a word. */
export function share(content: string, word: string): number {
  return createHash('sha256').update(`${word} ${content}`).digest().readUInt32BE() / 2 ** 32;
}

/** The rating that the server gives by default. */
export const ratingOf = ({ content }: Pick<RaterAsked, 'content'>): 1 | 2 => (share(content, 'rating') < 0.5 ? 1 : 2);

export class RaterServer {
  /** all requests in order of arrival, without their bodies if `keep` is false */
  readonly asked: RaterAsked[] = [];
  /** good answers by content */
  readonly good = new Map<string, number>();
  /** all answers with status 200, good or not: what is billed */
  billed = 0;
  private count = 0;
  private readonly seen = new Map<string, number>();
  private readonly server: Server;

  private constructor(
    private readonly options: RaterOptions,
    private readonly keep: boolean,
  ) {
    this.server = createServer((request, response) => {
      this.serve(request, response).catch(() => response.destroy());
    });
  }

  static async start(
    t: { after(fn: () => unknown): void },
    options: RaterOptions = {},
    { keep = true } = {},
  ): Promise<RaterServer> {
    const rater = new RaterServer(options, keep);
    await new Promise<void>((resolve) => rater.server.listen(0, '127.0.0.1', resolve));
    t.after(async () => {
      const closed = new Promise((resolve) => rater.server.close(resolve));
      rater.server.closeAllConnections();
      await closed;
    });
    return rater;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  private async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const pieces: Buffer[] = [];
    for await (const piece of request) pieces.push(piece as Buffer);
    const asked = read(
      request.url ?? '',
      JSON.parse(Buffer.concat(pieces).toString('utf8')) as Record<string, unknown>,
    );
    const nth = this.seen.get(asked.content) ?? 0;
    this.seen.set(asked.content, nth + 1);
    if (this.keep) this.asked.push(asked);
    const { behave, rate, onGood, delayMs = 0 } = this.options;
    if (delayMs > 0) await new Promise((resolve) => setTimeout(resolve, delayMs));
    const behaviour = behave?.(asked, nth) ?? 'well';
    const rating = (rate ?? ratingOf)(asked);
    const json = (code: number, value: unknown): void => {
      response.writeHead(code, { 'content-type': 'application/json', 'retry-after': '0' }).end(JSON.stringify(value));
    };
    const say = (text: string): void => {
      this.billed++;
      json(200, envelope(asked.kind, text));
    };
    const answer = JSON.stringify({ rating: String(rating), explanation: `because of ${asked.content.slice(0, 8)}` });
    switch (behaviour) {
      case 'busy':
        return json(429, { error: { message: 'too many requests' } });
      case 'broken':
        return json(500, { error: { message: 'internal error' } });
      case 'words':
        return say(`On a scale of 1 to 2, I would say ${rating}.`);
      case 'three':
        return say('{"rating": 3, "explanation": "better than good"}');
      case 'cut':
        return say(answer.slice(0, -12));
      case 'declined':
        this.billed++;
        return json(200, envelope(asked.kind, '', 'I cannot help with that.'));
      case 'no key':
        return json(401, { error: { message: 'bad key' } });
      case 'well':
        this.good.set(asked.content, (this.good.get(asked.content) ?? 0) + 1);
        say(answer);
        onGood?.(++this.count);
    }
  }
}

function read(url: string, body: Record<string, unknown>): RaterAsked {
  const kind = url.endsWith(':generateContent') ? 'gemini' : 'openai';
  let system: string;
  let parts: string[];
  if (kind === 'openai') {
    const [first, user] = body.messages as [
      { content: string },
      { content: { text?: string; image_url?: { url: string } }[] },
    ];
    system = first.content;
    parts = user.content.map(({ text, image_url }) => text ?? image_url!.url);
  } else {
    system = (body.systemInstruction as { parts: [{ text: string }] }).parts[0].text;
    const [{ parts: given }] = body.contents as [
      { parts: { text?: string; inlineData?: { mimeType: string; data: string } }[] },
    ];
    parts = given.map(({ text, inlineData }) => text ?? `data:${inlineData!.mimeType};base64,${inlineData!.data}`);
  }
  const content = createHash('sha256').update(JSON.stringify(parts)).digest('hex');
  return { kind, content, body, system, parts };
}

function envelope(kind: RaterAsked['kind'], text: string, refusal?: string) {
  const total = RATER_TOKENS;
  return kind === 'openai'
    ? {
        model: RATER,
        choices: [{ finish_reason: 'stop', message: { role: 'assistant', content: text, refusal: refusal ?? null } }],
        usage: { total_tokens: total },
      }
    : refusal
      ? { modelVersion: RATER, promptFeedback: { blockReason: 'SAFETY' }, usageMetadata: { totalTokenCount: total } }
      : {
          modelVersion: RATER,
          candidates: [{ finishReason: 'STOP', content: { role: 'model', parts: [{ text }] } }],
          usageMetadata: { totalTokenCount: total },
        };
}
