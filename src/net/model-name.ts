import { discreet } from '../secrets/known.js';

/**
 * Compares the name under which a server answers with the one that was asked for, and warns at the first difference. It is
 * no error: vLLM answers with the first of several `--served-model-name`, OpenAI with a dated snapshot, OpenRouter without
 * `:free`. A server that does not know a name refuses the request.
 */
export class ModelName {
  private warned = false;

  /**
   * @param asked the name in the request
   * @param setting the setting that holds it, for the warning
   */
  constructor(
    private readonly asked: string,
    private readonly setting: string,
    private readonly warn: (line: string) => void = () => undefined,
  ) {}

  /** @param answered the name in an answer, if it has one */
  check(answered: unknown): void {
    if (this.warned || typeof answered !== 'string' || answered === '' || isSameModel(this.asked, answered)) return;
    this.warned = true;
    const said = discreet(answered);
    const name = JSON.stringify(said.length > 80 ? `${said.slice(0, 80)}…` : said);
    this.warn(
      `the server answers for the model ${name}, expected ${JSON.stringify(this.asked)} (${this.setting}); is it the same model?`,
    );
  }
}

/** Whether both are plainly names of one model: a snapshot, a provider in front, a variant behind. */
function isSameModel(asked: string, answered: string): boolean {
  const [a, b] = [plain(asked), plain(answered)];
  if (a === b || b.startsWith(`${a}-`) || b.startsWith(`${a}@`)) return true;
  if (a.endsWith('-latest') && b.startsWith(a.replace(/-latest$/, ''))) return true;
  return b.endsWith(`/${a}`) || a.endsWith(`/${b}`);
}

function plain(name: string): string {
  return name.toLowerCase().replace(/^models\//, '').replace(/:[^:/]*$/, ''); // prettier-ignore
}
