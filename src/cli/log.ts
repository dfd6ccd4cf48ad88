import { existsSync } from 'node:fs';
import type { Command } from 'commander';
import { counted } from '../counted.js';
import { RunError, UserError } from '../errors.js';
import type { CommandRecord } from '../runner/log/commands.js';
import type { ShardTime } from '../runner/log/shards.js';
import type { Registry } from '../runner/registry.js';
import type { MlflowSettings } from '../tracking/mlflow.js';
import { common, load, print, work, type Interrupt, type Options } from './command.js';

/** `critiq log`: which commands worked on a run, where and how long, and how long its shards took. */
export function addLogCommand(critiq: Command, registry: Registry, interrupt: Interrupt): void {
  const command = critiq.command('log');
  common(command, 'critiq log run=exp7')
    .description('show the commands that worked on a run: when, where, how they ended, and how long each stage took')
    .action(async (overrides: string[], options: Options) => {
      const { config } = await load(registry, overrides, options, { stored: false });
      const { runFolder } = await import('../runner/instance.js');
      const { lockFile } = await import('../runner/run.js');
      const { readCommands } = await import('../runner/log/commands.js');
      const { shardTimes } = await import('../runner/log/shards.js');
      const folder = runFolder(config);
      if (!existsSync(folder)) throw new UserError(`${folder}: no such run folder; choose a run with run=NAME`);
      const [commands, shards] = [readCommands(folder, lockFile(config)), shardTimes(folder)];
      print(options.json ? JSON.stringify({ commands, shards }, null, 2) : formatLog(commands, shards));
    });

  common(command.command('push'), 'critiq log push run=exp7 mlflow.url=http://tracking:5000')
    .description('send the metrics of a run to an MLflow server: what it does not have yet')
    .action(async (overrides: string[], options: Options) => {
      const { config } = await load(registry, overrides, options);
      const { runFolder } = await import('../runner/instance.js');
      const { underLock } = await import('../runner/run.js');
      const { hasMetrics, MlflowSink } = await import('../tracking/mlflow.js');
      const settings = config.mlflow as MlflowSettings | undefined;
      if (!settings?.url)
        throw new UserError('mlflow.url: no server to send to; set it to an address such as http://tracking:5000');
      const folder = runFolder(config);
      if (!hasMetrics(folder)) throw new UserError(`${folder}: no metrics to send; choose a run with run=NAME`);
      await work(options, interrupt, async (display, signal) => {
        try {
          const points = await underLock(config, display, () => new MlflowSink(folder, settings).push({ signal }));
          return { result: { points }, lines: [`log push: sent ${counted(points, 'point')} to ${settings.url}`] };
        } catch (error) {
          if ((error as Error).name !== 'Unavailable') throw error;
          throw new RunError(
            `${settings.url}: MLflow does not take metrics now: ${(error as Error).message}; run the same command again later, which sends the rest`,
          );
        }
      });
    });
}

function formatLog(commands: readonly CommandRecord[], shards: readonly ShardTime[]): string {
  if (commands.length === 0) return 'no commands in the log (an older critiq wrote none)';
  const lines = commands.flatMap((command) => {
    const { start, state, seconds, code, signal, error, host, args } = command;
    const how = state === 'failed' ? `failed (${code})` : state === 'stopped' ? `stopped (${signal})` : state;
    const when = `${start.slice(0, 16).replace('T', ' ')} UTC`;
    const what = args === null ? 'a program that uses critiq as a library' : `critiq ${args.map(quoted).join(' ')}`;
    const line = `${when}  ${how.padEnd(16)} ${(seconds === null ? '' : duration(seconds)).padStart(10)}  ${host}  ${program(command)}  ${what}`;
    return error === null ? [line] : [line, `    ${error}`];
  });
  return [...lines, ...stageLines(shards)].join('\n');
}

/** `critiq 0.1.0 at a1b2c3d (changed files)` */
function program({ versions, commit, dirty }: CommandRecord): string {
  const at = commit === null ? '' : ` at ${commit.slice(0, 7)}${dirty ? ' with changed files' : ''}`;
  return `${versions.critiq}${at}`;
}

function stageLines(shards: readonly ShardTime[]): string[] {
  const instances = new Map<string, ShardTime[]>();
  for (const time of shards) instances.set(time.instance, [...(instances.get(time.instance) ?? []), time]);
  if (instances.size === 0) return [];
  const lines = [...instances].map(([instance, times]) => {
    const total = times.reduce((sum, { seconds }) => sum + seconds, 0);
    const resumed = times.filter((time) => time.resumed).length;
    const note = resumed === 0 ? '' : `, ${resumed} of them resumed: their time is that of the last part`;
    return `  ${instance}: ${counted(times.length, 'shard')} in ${duration(total)}${note}`;
  });
  return ['', 'Time of all shards, added up:', ...lines];
}

/** `45 s`, `12.3 min`, `5.1 h` */
function duration(seconds: number): string {
  if (seconds < 120) return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`;
  return seconds < 7200 ? `${(seconds / 60).toFixed(1)} min` : `${(seconds / 3600).toFixed(1)} h`;
}

/** An argument as a shell reads it back. */
function quoted(arg: string): string {
  return /^[\w@%+=:,./-]+$/.test(arg) ? arg : `'${arg.replaceAll("'", `'\\''`)}'`;
}
