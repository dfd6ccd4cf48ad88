import PQueue from 'p-queue';
import { counted } from '../../src/counted.js';
import { RunError, UserError } from '../../src/errors.js';
import { parseAction } from '../../src/agents/grammar.js';
import { ImageStore } from '../../src/data/images.js';
import { agreementOf, type Agreement, type Judged, type Rate } from '../../src/judges/agreement.js';
import { readLabelledSet, type LabelledScreen } from '../../src/judges/labelled-set.js';
import { VlmJudge, type JudgeCounts } from '../../src/judges/vlm.js';
import type { Display } from '../../src/runner/display.js';
import { Interrupted } from '../../src/runner/execute.js';
import { datasetFolder, runFolder } from '../../src/runner/instance.js';
import { readPlan } from '../../src/runner/outputs.js';
import type { Config } from '../../src/settings/settings.js';
import { readTransitions } from '../datasets.js';
import { openJudge, type JudgeSettings } from './judge.js';

/** Questions in a row without an answer after which the server counts as dead; each was already tried several times. */
const SILENT = 8;

/** How often a judge agrees with known verdicts. */
export interface JudgeQuality extends Agreement {
  /** the judge's kind and model */
  readonly judge: string;
  /** the labelled set, or the run */
  readonly set: string;
  /** episodes of a run that fail without being judged, because the agent did not declare success: not compared */
  readonly undeclared: number;
  readonly counts: JudgeCounts;
  /** total spent by the run folder on its judge */
  readonly spent: { readonly calls: number; readonly tokens: number };
}

interface Comparison {
  readonly name: string;
  readonly screens: readonly LabelledScreen[];
  readonly undeclared: number;
}

/**
 * `critiq judge`: compares the judge of `judge.*` with a labelled set, or with the exact rewards of a run on the embedded
 * phone (judging the last screens). Answers are cached, so it can be interrupted and repeated.
 */
export async function judgeQuality(
  what: { readonly set: string } | { readonly run: string },
  config: Config,
  { display, signal }: { display: Display; signal: AbortSignal },
): Promise<JudgeQuality> {
  const own = 'run' in what ? ({ ...config, run: what.run } as Config) : config;
  const warn = (line: string): void => display.warn(line);
  const settings = config.judge as JudgeSettings;
  if (settings.kind === 'state')
    throw new UserError(
      'judge.kind=state: the state judge is exact, so there is nothing to measure; set judge.kind to openai or gemini, and judge.model',
    );
  const { name, screens, undeclared } =
    'run' in what
      ? await phoneRun(own, settings)
      : { name: what.set, screens: readLabelledSet(what.set), undeclared: 0 };
  // each screen ends an episode whose agent declared success
  const single = { ...own, judge: { ...settings, ask: 'end', declare: 'ignored' } } as Config;
  const { judge, budget } = openJudge(single, runFolder(own), warn);
  if (!(judge instanceof VlmJudge) || !budget) throw new Error('judgeQuality: not a VLM judge');
  const progress = display.progress(screens.length, 'judge: screens');
  // in memory: the pictures being judged and the next ones
  const queue = new PQueue({ concurrency: 2 * settings.concurrency });
  const stop = new AbortController();
  const abort = (): void => stop.abort(signal.reason);
  signal.addEventListener('abort', abort, { once: true });
  const judged: Judged[] = [];
  const one = async (screen: LabelledScreen, i: number): Promise<void> => {
    if (stop.signal.aborted) return;
    const { id, task, label } = screen;
    try {
      const frame = await screen.frame();
      const previousFrame = await screen.previousFrame?.();
      const end = { device: { id: name }, task: { id, text: task }, frame, previousFrame, completed: true };
      judged[i] = { id, task, label, verdict: await judge.judge({ ...end, signal: stop.signal }) };
      progress.advance();
      if (judge.silent >= SILENT)
        throw new RunError(
          `judge: no usable answer to ${judge.silent} questions in a row; the warning above says why. Check the server (judge.url) and run the same command again: answers are kept`,
        );
    } catch (error) {
      // the first failure stops the others
      stop.abort(error);
    }
  };
  try {
    await queue.addAll(screens.map((screen, i) => () => one(screen, i)));
  } finally {
    signal.removeEventListener('abort', abort);
    progress.done();
    budget.close();
  }
  if (signal.aborted) throw new Interrupted('judge: stopped; answers are kept: run the same command again to resume');
  stop.signal.throwIfAborted();
  if (screens.length > 0 && judged.every(({ verdict }) => verdict === 'unknown'))
    throw new RunError(`judge: none of ${screens.length} screens got a verdict; the warnings above say why`);
  return {
    judge: judge.name,
    set: name,
    ...agreementOf(judged),
    undeclared,
    counts: judge.counts,
    spent: budget.spent,
  };
}

/** The last screens of a run's trajectories, with the exact rewards of the embedded phone. */
async function phoneRun(config: Config, { declare }: JudgeSettings): Promise<Comparison> {
  const folder = datasetFolder(config, 'trajectories');
  const plan = readPlan(folder);
  const judge = plan?.settings.judge as { kind?: string; declare?: string } | undefined;
  if (plan?.stage !== 'collect')
    throw new UserError(`${folder}: no trajectories from \`critiq collect\`; collect some, or choose another --run`);
  if ((judge?.kind ?? 'state') !== 'state' || plan.settings.device !== undefined) {
    const { backend = 'phone' } = (plan.settings.device ?? {}) as { backend?: string };
    throw new UserError(
      `${folder}: collected with judge.kind=${judge?.kind ?? 'state'} and device.backend=${backend}; only rewards by the state of the embedded phone are exact: choose a --run with judge.kind=state and device.backend=phone`,
    );
  }
  const labelled = judge?.declare ?? 'required';
  if (labelled !== declare) {
    throw new UserError(
      `${folder}: collected with judge.declare=${labelled}, but judge.declare=${declare} here, which judges the same screen differently; set judge.declare=${labelled}`,
    );
  }
  const rows = await readTransitions(folder, 'collect', [
    'trajectory',
    'goal',
    'action',
    'image',
    'nextImage',
    'done',
    'trajectoryReward',
  ]);
  const images = new ImageStore(datasetFolder(config, 'images'));
  const ends = rows.filter(({ done }) => done);
  const compared = ends.filter(({ action }) => declare === 'ignored' || declares(action));
  return {
    name: runFolder(config),
    undeclared: ends.length - compared.length,
    screens: compared.map(({ trajectory, goal, image, nextImage, trajectoryReward }) => ({
      id: trajectory,
      task: goal,
      label: trajectoryReward > 0 ? 'success' : 'failure',
      frame: () => images.get(nextImage),
      previousFrame: () => images.get(image),
    })),
  };
}

function declares(action: string): boolean {
  const parsed = parseAction(action);
  return 'action' in parsed && parsed.action.type === 'STATUS_TASK_COMPLETE';
}

/** Maximum number of disagreements to print; --json has all. */
const SAID = 20;

/** The result as lines for people. */
export function describeQuality(quality: JudgeQuality): string[] {
  const { judge, set, items, unknown, confusion, disagreements, undeclared, counts, spent } = quality;
  const { true_success: tp, false_success: fp, true_failure: tn, false_failure: fn } = confusion;
  const rates: [string, Rate][] = [
    ['agreement', quality.agreement],
    ['precision', quality.precision],
    ['recall', quality.recall],
    ['F1', quality.f1],
  ];
  const few = (ids: readonly string[]) =>
    `${ids.slice(0, SAID).join(', ')}${ids.length > SAID ? ` and ${ids.length - SAID} more` : ''}`;
  return [
    `${judge} on ${set}: ${counted(items, 'screen')}${undeclared > 0 ? ` (${counted(undeclared, 'more episode')} failed without being judged: the agent did not declare success)` : ''}`,
    ...rates.map(([name, { value, ci95 }]) => `  ${name.padEnd(10)} ${percent(value)}  (95 % interval ${percent(ci95[0])} to ${percent(ci95[1])})`), // prettier-ignore
    `  judged success: ${tp} correct, ${fp} wrong; judged failure: ${tn} correct, ${fn} wrong`,
    ...(unknown.length > 0 ? [`  ${unknown.length} without a verdict, not counted: ${few(unknown)}`] : []),
    ...(disagreements.length > 0
      ? [`  disagreements: ${few(disagreements.map(({ id, verdict }) => `${id} (judged ${verdict})`))}`]
      : []),
    `  answers: ${counts.answered} new, ${counts.known} from the cache; the run folder has spent ${counted(spent.calls, 'call')} and ${counted(spent.tokens, 'token')} on its judge`,
  ];
}

function percent(value: number | null): string {
  return value === null ? '   -  ' : `${(100 * value).toFixed(1)} %`.padStart(6);
}
