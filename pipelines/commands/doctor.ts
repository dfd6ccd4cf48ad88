import { existsSync, mkdirSync, statfsSync } from 'node:fs';
import { availableParallelism, freemem, totalmem } from 'node:os';
import { resolve } from 'node:path';
import { parseJson } from '../../src/data/formats/json.js';
import { bodyText } from '../../src/net/body.js';
import { counted } from '../../src/counted.js';
import { overlapLine } from '../../src/data/task-list.js';
import { RunError, UserError } from '../../src/errors.js';
import { openRuntime } from '../../src/graph/index.js';
import { describeFailure } from '../../src/runner/failure.js';
import { runFolder } from '../../src/runner/instance.js';
import { versions } from '../../src/runner/package.js';
import type { Config } from '../../src/settings/settings.js';
import { inspectCheckpoint, type Inspection } from '../checkpoint/inspect.js';
import { judgeUrl, openJudge, type JudgeSettings } from '../episodes/judge.js';
import type { Represent } from '../vlm/represent-settings.js';
import { deviceCount, deviceServer } from '../episodes/devices.js';
import { modelsOf, openPool } from '../resources.js';
import type { DeviceSettings } from '../sections.js';
import { openServed, servedSettings, servedUrl } from '../episodes/served.js';
import { plainUrl } from '../episodes/server-settings.js';
import { overlapOf, tasksOf } from '../episodes/tasks.js';

/** The result of one check. `missing`: stages with these settings would fail; `note`: they would work, with a remark. */
export interface Finding {
  readonly what: string;
  readonly state: 'fine' | 'note' | 'missing';
  readonly line: string;
}

/** A check of one thing; returns what is fine. @throws UserError or RunError with what is missing and how to get it */
type Look = () => Promise<string | { readonly note: string }>;

const GIB = 2 ** 30;
/** Less than this fills up soon: a run on the embedded phone takes about 1 GB, a webshop data set of the released size 30. */
const LITTLE_DISK = 5 * GIB;
const SERVER_MS = 5000;
/** Models of a server to list at most; some have hundreds. */
const MODELS_SAID = 10;

/** Checks everything that the settings name: models, servers, device, tasks, disk. Creates the data folder, nothing else. */
export async function examine(config: Config): Promise<Finding[]> {
  const models = modelsOf(config);
  const looks: [what: string, look: Look][] = [
    ['machine', machine],
    ['runtime', () => runtime(config)],
    ['data', () => disk(config)],
    ['device', () => device(config)],
    ['tasks', async () => overlapLine(overlapOf(config))],
    ['models.policy', () => model(models.policy, 'auto-ui', 'sft trains a pocket policy from demonstrations')],
    ['models.image', () => tower(config)],
    ['models.text', () => model(models.text, 'roberta', 'the critic trains its own text tower')],
    ['models.vlm', () => vlm(config)],
    ['judge', () => judge(config)],
    ['served', () => served(config)],
  ];
  const findings: Finding[] = [];
  for (const [what, look] of looks) findings.push(await finding(what, look));
  return findings;
}

async function finding(what: string, look: Look): Promise<Finding> {
  try {
    const found = await look();
    return typeof found === 'string' ? { what, state: 'fine', line: found } : { what, state: 'note', line: found.note };
  } catch (thrown) {
    const error = describeFailure(thrown);
    if (!(error instanceof UserError || error instanceof RunError)) throw error;
    return { what, state: 'missing', line: error.message };
  }
}

async function machine(): Promise<string> {
  const { critiq, node } = versions();
  const memory = `${(freemem() / GIB).toFixed(1)} of ${(totalmem() / GIB).toFixed(1)} GiB of memory free`;
  return `critiq ${critiq}, Node ${node}, ${process.platform} ${process.arch}, ${availableParallelism()} cores, ${memory}`;
}

async function runtime({ provider, device_id: deviceId, tf32 }: Config): Promise<string | { note: string }> {
  const opened = await openRuntime({ kind: 'auto', threads: 1, provider, deviceId, tf32 });
  const { name, device: on } = opened;
  await opened.close();
  if (name === 'ffi') return `ONNX Runtime via its C API, on ${on}`;
  return {
    note: `ONNX Runtime via onnxruntime-node, on ${on}: its C API cannot be loaded here, so training is slower and takes more memory`,
  };
}

async function disk({ data, run }: Config): Promise<string | { note: string }> {
  mkdirSync(data, { recursive: true });
  const { bavail, bsize } = statfsSync(data);
  const free = bavail * bsize;
  const line = `${resolve(data)}: ${(free / GIB).toFixed(1)} GiB free; this run's folder is ${run}/`;
  return free < LITTLE_DISK ? { note: `${line}; too little for full-size models` } : line;
}

async function device(config: Config): Promise<string> {
  const settings = config.device as DeviceSettings;
  const server = await deviceServer(config);
  // report the first failure instead of retrying
  const pool = openPool({ ...config, device: { ...settings, give_up_after: 1 } }, 1);
  try {
    const { device: opened } = await pool.lease();
    const deadlineMs = settings.deadline_ms;
    const [task] = tasksOf(config, 'test', { seed: config.seed });
    await opened.reset('app', { task, seed: config.seed, deadlineMs });
    const { width, height } = await opened.screenshot({ deadlineMs });
    return `${settings.backend}: ${server}screen of ${width} × ${height} pixels; ${deviceCount(config)} in parallel`;
  } finally {
    await pool.close();
  }
}

async function tower(config: Config): Promise<string | { note: string }> {
  const { policy, image } = modelsOf(config);
  if (policy === '' && image !== '') return { note: `${image}: not used, because models.policy is empty` };
  if (policy !== '' && image === '') {
    return { note: 'none: the policy can be trained on imported data, but cannot act (collect, eval)' };
  }
  return model(image, 'blip-2', 'the pocket policy has its own tower');
}

/** Sources of the checkpoints of each kind. */
const SOURCES = {
  'auto-ui': 'Auto-UI-Base (https://huggingface.co/cooelf/Auto-UI)',
  'blip-2': 'BLIP-2 (https://huggingface.co/Salesforce/blip2-opt-2.7b)',
  roberta: 'RoBERTa (https://huggingface.co/FacebookAI/roberta-base)',
} as const;

async function model(folder: string, kind: keyof typeof SOURCES, without: string): Promise<string> {
  if (folder === '') return `none: ${without}`;
  if (!existsSync(folder)) {
    throw new UserError(`${folder}: no such folder; download ${SOURCES[kind]} into it with huggingface-cli download`);
  }
  const found = await inspectCheckpoint(folder);
  if (found.kind !== kind) {
    throw new UserError(`${folder}: expected ${SOURCES[kind]}, got ${found.kind} (${found.use})`);
  }
  if (found.problems.length > 0) throw new UserError(found.problems.join('; '));
  return `${folder}: ${described(found)}`;
}

function described({ parameters, dtypes, tokenizer, tiedHead, fingerprint }: Inspection): string {
  const parts = [
    `${((parameters.loaded ?? parameters.stored) / 1e6).toFixed(1)} million parameters (${Object.keys(dtypes).join(', ')})`,
    tokenizer && `tokenizer with ${tokenizer.vocabulary} ids`,
    tiedHead !== undefined && `${tiedHead ? 'tied' : 'separate'} head`,
    fingerprint && `fingerprint ${fingerprint.slice(0, 12)}`,
  ];
  return parts.filter(Boolean).join(', ');
}

async function vlm(config: Config): Promise<string | { note: string }> {
  const { backend, url, api_key_env: keyName } = config.represent as Represent;
  const { vlm: model } = modelsOf(config);
  if (backend === 'pocket') {
    if (model !== '') {
      throw new UserError(
        `models.vlm=${model}: represent.backend=pocket cannot run it; set represent.backend=vllm or onnx`,
      );
    }
    return 'none: `vlm` trains the pocket VLM';
  }
  if (backend === 'onnx') {
    if (model !== '' && existsSync(model)) return `${model}: run locally by ONNX Runtime (docs/vlm.md)`;
    throw new UserError(
      `models.vlm=${model}: expected the folder of an ONNX export; see docs/vlm.md for how to make one`,
    );
  }
  const whatToDo = 'start the server (docs/vlm.md), or set represent.url';
  const served = await servedModels(plainUrl(url), process.env[keyName]?.trim(), whatToDo);
  const names = served.join(', ');
  if (model !== '' && !served.includes(model) && !served.includes(resolve(model))) {
    return { note: `${url} serves ${names}, not ${model}; start it with that model, or with --served-model-name` };
  }
  return `${url} serves ${names}${model === '' ? '; register it with models.vlm, or `critiq vlm import`' : ''}`;
}

/** Checks that the judge can be asked, without asking it. */
async function judge(config: Config): Promise<string | { note: string }> {
  const { kind, model: name, api_key_env: keyName } = config.judge as JudgeSettings;
  openJudge(config, runFolder(config), () => undefined);
  if (kind === 'state') return "the device's own state";
  const [url, key] = [judgeUrl(config), process.env[keyName]?.trim()];
  if (kind === 'gemini') {
    if (key) return `${name} at ${url}, with the key in ${keyName}`;
    throw new UserError(`judge.kind=gemini: put the key in the environment variable ${keyName} (judge.api_key_env)`);
  }
  const whatToDo = `start the server, or set judge.url (docs/judges.md); its API key is read from ${keyName}`;
  return serves(url, name, 'judge.model', await servedModels(url, key, whatToDo));
}

/** Checks that the served agent can be asked, without asking it. */
async function served(config: Config): Promise<string | { note: string }> {
  const { model, api_key_env: keyName, format } = servedSettings(config);
  const stages = ['eval', 'collect'].filter((stage) => (config[stage] as { agent: string }).agent === 'served');
  if (stages.length === 0 && model === '') return 'none: the policies of this run act';
  const agent = openServed(config, config.seed, () => undefined);
  const url = servedUrl(config);
  const whatToDo = `start the server, or set served.url (docs/served-agents.md); its API key is read from ${keyName}`;
  const found = serves(url, model, 'served.model', await servedModels(url, process.env[keyName]?.trim(), whatToDo));
  if (typeof found !== 'string') return found;
  const use = stages.length > 0 ? `used by ${stages.join(' and ')}` : 'used by no stage: set eval.agent=served';
  return `${found}; answer format ${format}, ${counted(1 + agent.pastScreens, 'screen')} per question; ${use}`;
}

/** Checks that a server has the wanted model. */
function serves(url: string, model: string, setting: string, all: readonly string[]): string | { note: string } {
  if (all.includes(model)) return `${url} serves ${model}`;
  return { note: `${url} serves ${all.slice(0, MODELS_SAID).join(', ')}, not ${model}: set ${setting}` };
}

/** Names of the models on an OpenAI-style server. @throws RunError if it cannot be reached or its answer is invalid */
async function servedModels(base: string, key: string | undefined, whatToDo: string): Promise<string[]> {
  let body: unknown;
  try {
    const response = await fetch(`${base}/v1/models`, {
      headers: key ? { authorization: `Bearer ${key}` } : {},
      redirect: 'manual',
      signal: AbortSignal.timeout(SERVER_MS),
    });
    if (!response.ok) throw new RunError(`${base}/v1/models: HTTP ${response.status}; ${whatToDo}`);
    body = parseJson(await bodyText(response));
  } catch (error) {
    if (error instanceof RunError) throw error;
    const { name, cause } = error as Error & { cause?: { code?: string } };
    const why = name === 'TimeoutError' ? `no answer in ${SERVER_MS} ms` : (cause?.code ?? 'the answer is not JSON');
    throw new RunError(`${base}/v1/models: ${why}; ${whatToDo}`);
  }
  const { data } = (body ?? {}) as { data?: unknown };
  const names = (Array.isArray(data) ? data : []).map((entry: { id?: unknown }) => entry?.id);
  if (names.length > 0 && names.every((name) => typeof name === 'string')) return names as string[];
  throw new RunError(`${base}/v1/models: the answer is not a list of models; ${whatToDo}`);
}

/** `critiq doctor` for people: one line per check. */
export function formatFindings(findings: readonly Finding[]): string {
  const width = Math.max(...findings.map(({ what }) => what.length));
  return findings.map(({ what, state, line }) => `${state.padEnd(7)}  ${what.padEnd(width)}  ${line}`).join('\n');
}
