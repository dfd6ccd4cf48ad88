/**
 * `npm run golden -- FOLDER [--runtime ffi|node]`: runs all cases of a folder like test/fixtures/golden (or one written by
 * test/fixtures/python/make_golden.py) and prints a line for each with its largest relative error, max |a - b| / max |b|
 * over a tensor. Cases are recognized by their files, not by their names. Exit code 1 if an error is above 1e-4, 2 for a
 * wrong folder or option.
 */
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { RunError, UserError } from '../../src/errors.js';
import { openRuntime, type Runtime } from '../../src/graph/index.js';
import { readJsonFile } from '../../src/data/formats/json.js';
import { readJson } from '../../src/models/checkpoint/checkpoint.js';
import * as cases from './cases.js';
import * as files from './files.js';
import type { Comparison } from './reference.js';
import * as released from './released.js';

export const TOLERANCE = 1e-4;

export interface GoldenCase {
  readonly name: string;
  run(runtime: Runtime): Promise<Comparison> | Comparison;
}

/** The cases of a folder, sorted by name. @throws UserError if there are none */
export function findCases(root: string): GoldenCase[] {
  if (!existsSync(root) || !statSync(root).isDirectory()) throw new UserError(`${root}: no such folder`);
  const found: GoldenCase[] = caseFolder(root, '.');
  for (const name of readdirSync(root).sort()) {
    const path = join(root, name);
    found.push(...(statSync(path).isDirectory() ? caseFolder(path, name) : caseFile(path, name)));
  }
  if (found.length === 0)
    throw new UserError(`${root}: has no golden cases; expected subfolders like those of test/fixtures/golden`);
  return found;
}

function caseFolder(path: string, name: string): GoldenCase[] {
  const has = (file: string) => existsSync(join(path, file));
  const found: GoldenCase[] = [];
  const add = (run: (folder: string, runtime: Runtime) => Promise<Comparison> | Comparison, suffix = '') =>
    found.push({ name: name + suffix, run: (runtime) => run(path, runtime) });
  if (has('case.safetensors') && has('config.json')) {
    const { model_type: type } = readJson(join(path, 'config.json')) as Record<string, unknown>;
    if (type === 't5') add(cases.autoUICase);
    if (type === 'roberta') add(cases.robertaCase);
    if (typeof type === 'string' && type.startsWith('blip_2_vision')) add(cases.blip2Case);
  }
  if (has('case.safetensors') && has('meta.json')) {
    const meta = readJson(join(path, 'meta.json')) as Record<string, unknown>;
    if ('gamma' in meta) add(cases.criticCase);
    if ('window' in meta) add(cases.causalCase);
  }
  if (has('pytorch_model.bin') && has('model.safetensors')) add(files.stateDictCase, '/pytorch_model.bin');
  if (has('tokenizer.json') && has('expected.json')) add(files.tokenizerCase);
  if (has('expected.json') && released.isReleased(path)) {
    for (const file of ['trajectories.pt', 'trajectories_eval.pt']) {
      if (has(file)) add((folder) => released.releasedDataCase(folder, file), `/${file}`);
    }
  }
  if (has('agent/values.json') && has('trajectories.pt')) add(released.releasedAgentCase, '/agent/values.json');
  if (has('agent/policy.safetensors')) add(released.releasedPolicyCase, '/agent/policy.safetensors');
  return found;
}

function caseFile(path: string, name: string): GoldenCase[] {
  if (name.endsWith('.pt')) {
    const json = path.replace(/\.pt$/, '.json');
    return [{ name, run: () => (existsSync(json) ? files.torchCase(path, json) : files.hostileCase(path)) }];
  }
  if (!name.endsWith('.json') || existsSync(path.replace(/\.json$/, '.pt'))) return [];
  const parsed = files.MatchingFile.safeParse(readJsonFile(path, 'make the numbers again'));
  return parsed.success ? [{ name, run: () => files.matchingCase(parsed.data) }] : [];
}

/** Runs all cases and prints a line for each. Returns the exit code. */
export async function main(args: readonly string[], print: (line: string) => void): Promise<number> {
  let runtime: Runtime | undefined;
  try {
    const { folder, kind } = options(args);
    const found = findCases(folder);
    runtime = await openRuntime({ kind, threads: 2 });
    const width = Math.max(...found.map(({ name }) => name.length));
    let failed = 0;
    for (const { name, run } of found) {
      const { error, where } = await run(runtime);
      const good = error <= TOLERANCE;
      if (!good) failed++;
      print(
        `${good ? 'ok  ' : 'FAIL'}  ${name.padEnd(width)}  ${error === 0 ? 'exact' : error.toExponential(1)}  ${error === 0 ? '' : `(${where})`}`.trimEnd(),
      );
    }
    print(`${found.length - failed} of ${found.length} cases within ${TOLERANCE} relative, runtime ${runtime.name}`);
    return failed ? 1 : 0;
  } catch (error) {
    // A RunError is the graph's error for shapes that do not match.
    if (!(error instanceof UserError || error instanceof RunError)) throw error;
    print(error.message);
    return 2;
  } finally {
    await runtime?.close();
  }
}

function options(args: readonly string[]): { folder: string; kind: 'auto' | 'ffi' | 'node' } {
  const usage = 'usage: npm run golden -- FOLDER [--runtime ffi|node]';
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      options: { runtime: { type: 'string', default: 'auto' } },
      allowPositionals: true,
    });
    const kind = values.runtime;
    if (positionals.length === 1 && (kind === 'auto' || kind === 'ffi' || kind === 'node'))
      return { folder: positionals[0], kind };
  } catch {
    // an unknown option: print the usage
  }
  throw new UserError(usage);
}

if (process.argv[1] && resolve(process.argv[1]) === resolve(import.meta.filename)) {
  process.exitCode = await main(process.argv.slice(2), console.log);
}
