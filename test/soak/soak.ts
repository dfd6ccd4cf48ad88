/** Chains of commands that are killed again and again, beside the same chains undisturbed. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Random } from '../../src/random.js';
import { contents, killedAgainAndAgain, succeed, timed } from '../rigs/process.js';
import type { Scenario } from './scenarios.js';

/** What a chain came to. */
export interface Soaked {
  readonly scenario: string;
  readonly kills: number;
  /** files that differ from the undisturbed run, or are missing or too many */
  readonly differing: readonly string[];
  /** replaced results of the undisturbed run that are not kept */
  readonly lost: readonly string[];
}

const TRASHED = /(^|\/)\.trash\//;

/** The files of a data folder: results, and what was replaced. */
function filesOf(cwd: string): { results: Map<string, string>; trashed: Map<string, string> } {
  const all = Object.entries(contents(join(cwd, 'data')));
  const isTrash = ([name]: readonly [string, string]): boolean => TRASHED.test(name);
  return {
    results: new Map(all.filter((entry) => !isTrash(entry))),
    // entries are numbered in the order of commands, and a killed command may have made one more
    trashed: new Map(all.filter((entry) => isTrash(entry) && !/entry\.json$/.test(entry[0]))),
  };
}

function prepare(cwd: string, { files = {} }: Scenario): void {
  rmSync(cwd, { recursive: true, force: true });
  mkdirSync(cwd, { recursive: true });
  for (const [name, text] of Object.entries(files)) writeFileSync(join(cwd, name), text);
}

/** An undisturbed run of a chain, with the milliseconds of each command. */
export async function undisturbed(scenario: Scenario, cwd: string): Promise<number[]> {
  prepare(cwd, scenario);
  const { program, delayMs } = scenario;
  const times: number[] = [];
  for (const command of scenario.commands) times.push(await timed(command, { cwd, program, delayMs }));
  return times;
}

/**
 * Runs a chain whose commands are killed (SIGKILL) at random moments until they end by themselves, and compares what it left.
 * @param calm the folder of the undisturbed run @param times of its commands
 * @param most kills of the whole chain
 */
export async function killed(
  scenario: Scenario,
  {
    calm,
    times,
    cwd,
    most,
    random,
  }: { calm: string; times: readonly number[]; cwd: string; most: number; random: Random },
): Promise<Soaked> {
  prepare(cwd, scenario);
  const { name, program, delayMs, commands } = scenario;
  let kills = 0;
  for (const [i, command] of commands.entries()) {
    const left = Math.ceil((most - kills) / (commands.length - i));
    if (left > 0)
      kills += await killedAgainAndAgain(command, { cwd, program, delayMs }, { most: left, calmMs: times[i], random });
    await succeed(command, { cwd, program });
  }
  const [expected, got] = [filesOf(calm), filesOf(cwd)];
  const names = new Set([...expected.results.keys(), ...got.results.keys()]);
  const kept = new Set([...got.trashed.values(), ...got.results.values()]);
  return {
    scenario: name,
    kills,
    differing: [...names].filter((file) => expected.results.get(file) !== got.results.get(file)),
    lost: [...expected.trashed].filter(([, digest]) => !kept.has(digest)).map(([file]) => file),
  };
}
