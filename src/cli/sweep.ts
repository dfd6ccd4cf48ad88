import type { Command } from 'commander';
import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import PQueue from 'p-queue';
import { common, EXIT, load, wholeNumber, work, type Interrupt, type Options } from './command.js';
import { Steps } from './steps.js';
import { counted } from '../counted.js';
import { RunError, UserError } from '../errors.js';
import type { Display } from '../runner/display.js';
import type { LoadedRegistry, Registry } from '../runner/registry.js';
import type { Member } from '../runs/sweep/axes.js';
import type { Sweep } from '../runs/sweep/definition.js';
import type { Twin } from '../runs/sweep/plan.js';
import type { Config } from '../settings/settings.js';

interface SweepOptions extends Options {
  stages: string;
  jobs: string;
  name?: string;
  dryRun?: boolean;
}

/** Seconds that a member's run may be in use: by the stage of a sweep that was killed and is coming to rest. */
const PATIENCE = 20;

/** `critiq sweep`: forks of a run for every combination of settings and seeds. */
export function addSweepCommand(critiq: Command, registry: Registry, interrupt: Interrupt): void {
  const sweep = critiq
    .command('sweep')
    .description('run stages for every combination of settings and seeds, in forks of one run, and print one table');
  common(sweep, 'critiq sweep critic.lr=1e-4,3e-4 seed=0..4 --stages critic,actor,eval run=exp7')
    .requiredOption('--stages <list>', 'stages that each run does itself; all before them are shared')
    .option('--jobs <n>', 'runs at the same time; they divide the cores', '1')
    .option(
      '--name <name>',
      'name of the sweep and the beginning of its runs’ names; default: that of the run, and -sweep',
    )
    .option('--dry-run', 'print what would be done, and do nothing')
    .action(async (overrides: string[], options: SweepOptions) => {
      const plan = await planSweep(registry, overrides, options);
      await work(options, interrupt, async (display) => {
        const { sweepTable, sweepText } = await import('../runs/sweep/table.js');
        if (options.dryRun) {
          const planned: (Member & { todo: string[] })[] = [];
          for (const member of plan.sweep.members.filter(({ run }) => plan.settings.has(run)))
            planned.push({ ...member, todo: await todo(plan, member) });
          const lines = planned.map(({ run, todo: left }) => `${run}: ${left.length === 0 ? 'done' : left.join(', ')}`);
          const shared =
            plan.shared.length === 0 ? '' : `; first in ${plan.sweep.base}, where missing: ${plan.shared.join(', ')}`;
          return {
            result: { ...plan.sweep, shared: plan.shared, members: planned },
            lines: [`sweep ${plan.sweep.name}: ${counted(plan.sweep.members.length, 'run')}${shared}`, ...lines],
          };
        }
        const failed = await runSweep(plan, options, interrupt, display);
        const table = sweepTable(plan.config.data, plan.sweep);
        if (!options.json && interrupt.code === undefined) process.stdout.write(`${sweepText(table)}\n`);
        if (failed.length > 0 && interrupt.code === undefined)
          throw new RunError(
            `sweep ${plan.sweep.name}: ${failed.length} of ${counted(plan.sweep.members.length, 'run')} failed (${failed.slice(0, 3).join(', ')}); the lines above say why; run the same command again to continue`,
          );
        return { result: table, lines: [] };
      });
    });
}

interface Plan {
  readonly loaded: LoadedRegistry;
  /** settings of the base */
  readonly config: Config;
  readonly sweep: Sweep;
  /** settings of each member, under the base's name */
  readonly settings: ReadonlyMap<string, Config>;
  /** command-line settings of each member, but its run */
  readonly overrides: ReadonlyMap<string, readonly string[]>;
  /** earlier members that give the same in the first stages, of which a member is forked instead of the base */
  readonly twins: ReadonlyMap<string, Twin>;
  /** stage instances that the base builds first, where they are missing */
  readonly shared: readonly string[];
  prepare(display: Display, signal: AbortSignal): Promise<void>;
}

async function planSweep(registry: Registry, words: readonly string[], options: SweepOptions): Promise<Plan> {
  const { axesOf, membersOf } = await import('../runs/sweep/axes.js');
  const { extended } = await import('../runs/sweep/definition.js');
  const { sharedInputs, sweptStages, twins } = await import('../runs/sweep/plan.js');
  const { runStage } = await import('../runner/run.js');
  const { axes, plain } = axesOf(words);
  if (axes.length === 0)
    throw new UserError('sweep: expected a setting with several values, such as critic.lr=1e-4,3e-4 or seed=0..4');
  const place = plain.filter((text) => /^(run|data)=/.test(text));
  // what all runs have in common holds for what the base makes for them, too
  const { loaded, config } = await load(registry, plain, options);
  const name = options.name ?? `${config.run}-sweep`;
  const stages = sweptStages(
    loaded,
    options.stages
      .split(',')
      .map((text) => text.trim())
      .filter(Boolean),
    axes,
  );
  const common = plain.filter((text) => !place.includes(text));
  const jobs = wholeNumber('--jobs', options.jobs, 1);
  const speed = share(jobs, config);
  const settings = new Map<string, Config>();
  const overrides = new Map<string, readonly string[]>();
  const members: Member[] = [];
  for (const member of membersOf(name, axes)) {
    const own = [
      ...common,
      ...Object.entries(member.settings).map(([path, value]) => `${path}=${value}`),
      ...(member.seed === null ? [] : stages.map((stage) => `seeds.${stage}=${member.seed}`)),
    ];
    let resolved = (await load(registry, [...place, ...own], { ...options, quiet: true })).config;
    // what the sweep makes is what it evaluates
    const made =
      stages.includes('eval') && !own.some((text) => /^eval\.(policy|agent)=/.test(text))
        ? madeBy(loaded, stages, resolved)
        : undefined;
    if (made !== undefined) {
      own.push(`eval.policy=${made}`);
      resolved = (await load(registry, [...place, ...own], { ...options, quiet: true })).config;
    }
    const evaluation = stages.includes('eval')
      ? loaded.stages
          .get('eval')!
          .instance(resolved)
          .replace(/^eval\//, '')
      : null;
    members.push({ ...member, evaluation });
    settings.set(member.run, resolved);
    overrides.set(member.run, [...own, ...speed]);
  }
  const wanted: Sweep = { name, base: config.run, stages, plain: common, config: options.config ?? null, members };
  const sweep = extended(config.data, wanted);
  // members of an earlier command, with other values, are in the table; this command runs its own
  const shared = sharedInputs(loaded, stages, config, settings.get(members[0].run)!);
  return {
    loaded,
    config,
    sweep,
    settings,
    overrides,
    twins: twins(loaded, stages, settings),
    shared: shared.map(({ stage, config: own }) => stage.instance(own)),
    prepare: async (display, signal) => {
      for (const { stage, config: own } of shared) await runStage(loaded, stage.name, own, { display, signal });
    },
  };
}

/** The policy that the last of the stages makes; undefined if none makes one. */
function madeBy(loaded: LoadedRegistry, stages: readonly string[], config: Config): string | undefined {
  const policies = stages.flatMap((name) => loaded.stages.get(name)!.outputs(config));
  return policies.findLast((dataset) => dataset.startsWith('policy/'))?.slice('policy/'.length);
}

/** Threads and workers of each job, where several divide the cores and the settings do not say. */
function share(jobs: number, { threads, workers }: Config): string[] {
  if (jobs === 1) return [];
  const each = Math.max(1, Math.floor(availableParallelism() / jobs));
  return [...(threads === 0 ? [`threads=${each}`] : []), ...(workers === 0 ? [`workers=${each}`] : [])];
}

/** What is left to do for a member: its fork, and the stages from the first that is not up to date. */
async function todo(plan: Plan, { run }: Member): Promise<string[]> {
  const { config, sweep } = plan;
  const twin = plan.twins.get(run);
  if (!existsSync(join(config.data, run)))
    return [twin ? `fork of ${twin.run}` : 'fork', ...sweep.stages.slice(twin?.stages ?? 0)];
  const first = await firstMissing(plan, run);
  return first < 0 ? [] : sweep.stages.slice(first);
}

async function firstMissing({ loaded, sweep, settings }: Plan, run: string): Promise<number> {
  const { isUpToDate } = await import('../runs/state.js');
  const own = { ...settings.get(run)!, run };
  return sweep.stages.findIndex((stage) => !isUpToDate(loaded, own, stage));
}

/** Runs what is missing. @returns the runs that failed */
async function runSweep(plan: Plan, options: SweepOptions, interrupt: Interrupt, display: Display): Promise<string[]> {
  const { writeSweep } = await import('../runs/sweep/definition.js');
  const { notShared } = await import('../runs/sweep/plan.js');
  const { storedSets } = await import('../runs/results.js');
  const { forkRun } = await import('../runs/fork.js');
  const { config, loaded, sweep, overrides, twins } = plan;
  await plan.prepare(display, interrupt.signal);
  await writeSweep(config.data, sweep);
  const base = join(config.data, sweep.base);
  const left = notShared(loaded, sweep.stages, config, storedSets(base));
  const own = sweep.members.filter(({ run }) => overrides.has(run));
  const progress = display.progress(own.length * sweep.stages.length, `sweep ${sweep.name}: stages`);
  const steps = new Steps(interrupt);
  const queue = new PQueue({ concurrency: wholeNumber('--jobs', options.jobs, 1) });
  const forks = new PQueue({ concurrency: 1 });
  const failed: string[] = [];
  const built = new Map(own.map(({ run }) => [run, new Milestones()]));
  /** The run to fork from, and what the fork leaves out. */
  const original = async (run: string): Promise<{ from: string; left: ReadonlySet<string> }> => {
    const twin = twins.get(run);
    if (!twin || !(await built.get(twin.run)!.reached(twin.stages))) return { from: sweep.base, left };
    const its = { ...plan.settings.get(twin.run)!, run: twin.run };
    const sets = storedSets(join(config.data, twin.run));
    return { from: twin.run, left: notShared(loaded, sweep.stages.slice(twin.stages), its, sets) };
  };
  const one = async ({ run }: Member): Promise<void> => {
    if (steps.stopped) return;
    const there = existsSync(join(config.data, run));
    const { from, left: without } = there ? { from: sweep.base, left } : await original(run);
    await forks.add(async () => {
      if (there) return refuseForeign(config.data, run, sweep.name);
      await forkRun({ data: config.data, from, to: run, share: (set) => !without.has(set), sweep: sweep.name });
    });
    const first = await firstMissing(plan, run);
    for (const [i, stage] of sweep.stages.entries()) {
      if (first < 0 || i < first) {
        progress.advance();
        built.get(run)!.reach(i + 1);
        continue;
      }
      progress.note(`${run}: ${stage}`);
      const args = [stage, `data=${config.data}`, `run=${run}`, ...overrides.get(run)!, '--quiet'];
      const code = await patiently(() => steps.run(options.config ? [...args, '--config', options.config] : args));
      if (code !== EXIT.ok) {
        if (code === EXIT.SIGINT || code === EXIT.SIGTERM) interrupt.code ??= code;
        failed.push(run);
        return;
      }
      progress.advance();
      built.get(run)!.reach(i + 1);
    }
    display.info(first < 0 ? `${run}: up to date` : `${run}: done`);
  };
  try {
    await queue.addAll(own.map((member) => () => one(member).finally(() => built.get(member.run)!.end())));
  } finally {
    steps.close();
    progress.done();
  }
  return failed;
}

/** How many stages of a member are built, for those that wait for them. */
class Milestones {
  private count = 0;
  private ended = false;
  private waiting: (() => void)[] = [];

  reach(count: number): void {
    this.count = count;
    this.wake();
  }

  /** Nothing more is built. */
  end(): void {
    this.ended = true;
    this.wake();
  }

  /** Waits for the first stages. @returns whether they are built: not if one failed */
  async reached(count: number): Promise<boolean> {
    while (this.count < count && !this.ended) await new Promise<void>((resolve) => this.waiting.push(resolve));
    return this.count >= count;
  }

  private wake(): void {
    for (const resolve of this.waiting.splice(0)) resolve();
  }
}

/** Tries again while another process uses the run. @returns the exit code */
async function patiently(run: () => Promise<{ code: number }>): Promise<number> {
  for (let tries = 1; ; tries++) {
    const { code } = await run();
    if (code !== EXIT.locked || tries >= PATIENCE) return code;
    await sleep(1000);
  }
}

async function refuseForeign(data: string, run: string, sweep: string): Promise<void> {
  const { readRecord } = await import('../runs/record.js');
  if (readRecord(join(data, run)).sweep === sweep) return;
  throw new UserError(
    `${join(data, run)}: a run of this name exists and does not belong to the sweep ${sweep}; choose another name with --name`,
  );
}
