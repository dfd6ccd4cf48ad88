/** Milliseconds of the units in which servers write a wait. */
const UNITS: readonly [RegExp, number][] = [
  [/^(ms|millis)/i, 1],
  [/^s/i, 1000],
  [/^m/i, 60_000],
  [/^h/i, 3_600_000],
  [/^d/i, 86_400_000],
];
const AMOUNT = String.raw`\d+(?:\.\d+)?\s*(?:ms|milliseconds?|millis|s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?)(?![a-z])`;
/** "Please retry in 3.2s" (Gemini), "Please try again in 6m0s" (OpenAI, Groq), "Retry after 20 seconds" (Azure). */
const IN_WORDS = new RegExp(
  String.raw`\b(?:retry|try again)\s+(?:in|after)\s+(${AMOUNT}(?:\s*(?:,|and)?\s*${AMOUNT}|\d+(?:\.\d+)?(?:ms|s|m|h))*)`,
  'i',
);

interface Refusal {
  readonly message?: unknown;
  readonly details?: unknown;
  readonly retry_after?: unknown;
}

/**
 * How long a server asks to wait before the next try, in milliseconds; 0 if it does not say. It may say so in a header
 * (Retry-After in seconds or as a date, RFC 9110 §10.2.3; Azure's `retry-after-ms`), or only in the body: Gemini's
 * `google.rpc.RetryInfo`, a field `retry_after` in seconds, or words.
 * @param error the `error` of the body, or the whole body if it has no such field
 */
export function retryAfterMs(headers: Headers, error: unknown): number {
  return inHeaders(headers) || inBody(error);
}

function inHeaders(headers: Headers): number {
  const exact = Number(headers.get('retry-after-ms') ?? NaN);
  if (exact > 0) return exact;
  const value = headers.get('retry-after')?.trim() ?? '';
  if (/^\d+(\.\d+)?$/.test(value)) return Number(value) * 1000;
  // a date is relative to the server's clock
  const ms = Date.parse(value) - Date.parse(headers.get('date') ?? '');
  return ms > 0 ? ms : 0;
}

function inBody(error: unknown): number {
  if (typeof error === 'string') return inWords(error);
  if (typeof error !== 'object' || error === null) return 0;
  const { message, details, retry_after: seconds } = error as Refusal;
  for (const detail of Array.isArray(details) ? (details as ({ retryDelay?: unknown } | null)[]) : []) {
    const ms = durationMs(detail?.retryDelay);
    if (ms > 0) return ms;
  }
  if (typeof seconds === 'number' && seconds > 0) return seconds * 1000;
  return typeof message === 'string' ? inWords(message) : 0;
}

/** A protobuf Duration in JSON: "45.8s", or its two fields. */
function durationMs(value: unknown): number {
  if (typeof value === 'string') return /^\d+(\.\d+)?s$/.test(value) ? parseFloat(value) * 1000 : 0;
  if (typeof value !== 'object' || value === null) return 0;
  const { seconds = 0, nanos = 0 } = value as { seconds?: unknown; nanos?: unknown };
  const ms = Number(seconds) * 1000 + Number(nanos) / 1e6;
  return ms > 0 ? ms : 0;
}

function inWords(message: string): number {
  const found = IN_WORDS.exec(message)?.[1] ?? '';
  let ms = 0;
  for (const [, amount, unit] of found.matchAll(/(\d+(?:\.\d+)?)\s*([a-z]+)/gi)) {
    ms += Number(amount) * (UNITS.find(([pattern]) => pattern.test(unit))?.[1] ?? 0);
  }
  return ms;
}
