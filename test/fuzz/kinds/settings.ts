/** What people write: settings files, settings on the command line, task lists, labelled sets, examples, templates. */
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { registry } from '../../../pipelines/index.js';
import { importConfig } from '../../../pipelines/commands/import-config.js';
import { readTemplate } from '../../../src/agents/served/template.js';
import { readTaskList } from '../../../src/data/task-list.js';
import { loadExamples } from '../../../src/judges/few-shot.js';
import { readLabelledSet } from '../../../src/judges/labelled-set.js';
import { packageRoot } from '../../../src/package.js';
import { loadRegistry } from '../../../src/runner/registry.js';
import { loadSettings } from '../../../src/settings/settings.js';
import { fixture } from '../../rigs/files.js';
import { mutatedJson, mutatedJsonLine, mutatedLines, mutatedText } from '../texts.js';
import type { Kind, Seed } from '../kind.js';

const loading = loadRegistry(registry);
const LIBRARY = join(packageRoot(), 'configs');

const seed = (name: string, text: string): Seed => ({ name, bytes: Buffer.from(text) });
const textual: Kind['mutate'] = (random, bytes, other) =>
  Buffer.from(mutatedText(random, bytes.toString('utf8'), other.toString('utf8')));

function file(folder: string, name: string, input: Buffer): string {
  writeFileSync(join(folder, name), input);
  return join(folder, name);
}

/** A folder with the pictures that labelled sets and examples name. */
function withPicture(folder: string): void {
  mkdirSync(folder, { recursive: true });
  if (!existsSync(join(folder, 'a.png'))) copyFileSync(fixture('preprocess', 'phone.png'), join(folder, 'a.png'));
}

const TASKS = [
  seed(
    'tasks.jsonl',
    '{"id":"clock","text":"Open the clock","goal":{"kind":"open","app":"clock"}}\n{"id":"b","text":"Search for a lamp","family":"shop"}\n',
  ),
  seed('tasks.txt', 'Open the clock\nGo to amazon.com, search for "lamp"\n\nSet an alarm\n'),
];

export const WRITTEN: readonly Kind[] = [
  {
    name: 'settings',
    weight: 2,
    // a line for each mistake, and how many more there are
    lines: 21,
    seeds: () => [
      ...readdirSync(LIBRARY)
        .filter((name) => name.endsWith('.yaml'))
        .map((name) => ({ name, bytes: readFileSync(join(LIBRARY, name)) })),
      seed(
        'small',
        'extends: pocket\ncritic: { lr: 1e-4, q_hidden: [16, 8] }\nactor.loss: sft\n# a comment\neval: &e\n  episodes: 6\n',
      ),
    ],
    mutate: textual,
    read: async (input, _, folder) => {
      const { schema, aliases } = await loading;
      loadSettings(schema, { file: file(folder, 'input.yaml', input), library: LIBRARY, aliases });
    },
  },
  {
    name: 'overrides',
    lines: 21,
    seeds: () => [
      seed(
        'some',
        'critic.lr=1e-4\ncritic.q_hidden=[16]\nrun=exp7\ndata=/tmp/x\nactor_lr=3\nreport.evals=[base-test, digiq-test]',
      ),
    ],
    mutate: textual,
    read: async (input) => {
      const { schema, aliases } = await loading;
      loadSettings(schema, { library: LIBRARY, aliases, overrides: input.toString('utf8').split('\n') });
    },
  },
  {
    name: 'reference-config',
    weight: 0.5,
    lines: 60,
    seeds: () => [
      seed(
        'digirl',
        "defaults:\n  - _self_\ntask_mode: 'evaluate'\nuse_wandb: True\ntrain_algorithm: digirl\nparallel: 'single'\nbatch_size: 2\nlm_lr: 1e-5\ncritic_lr: 1e-5\ngamma: 0.5\nmax_grad_norm: 0.01\nuse_lora: False\ntemperature: 1.0\ndo_sample: True\n",
      ),
    ],
    mutate: textual,
    read: async (input, _, folder) => {
      importConfig(file(folder, 'input.yaml', input), (await loading).schema);
    },
  },
  {
    name: 'tasks',
    seeds: () => TASKS,
    mutate: (random, bytes, other) => mutatedLines(random, bytes, other, (line) => mutatedJsonLine(random, line)),
    read: (input, { name }, folder) => readTaskList(file(folder, name, input)),
  },
  {
    name: 'labelled-set',
    seeds: () => [
      seed(
        'set',
        '{"image":"a.png","task":"Open the clock","label":"success"}\n{"image":"a.png","id":"b","previous":"a.png","task":"x","label":"failure"}\n',
      ),
    ],
    mutate: (random, bytes, other) => mutatedLines(random, bytes, other, (line) => mutatedJsonLine(random, line)),
    read: async (input, _, folder) => {
      withPicture(join(folder, 'set'));
      const [first] = readLabelledSet(file(join(folder, 'set'), 'labelled.jsonl', input));
      await first.frame();
    },
  },
  {
    name: 'few-shot',
    weight: 0.5,
    seeds: () => [
      seed(
        'examples',
        '[{"image":"a.png","task":"Open the clock","status":"success","reasoning":"seen"},{"image":"a.png","task":"x","status":"failure"}]',
      ),
    ],
    mutate: (random, bytes, other) => mutatedJson(random, bytes, other),
    read: (input, _, folder) => {
      withPicture(join(folder, 'shots'));
      file(join(folder, 'shots'), 'examples.json', input);
      loadExamples(join(folder, 'shots'));
    },
  },
  {
    name: 'template',
    weight: 0.5,
    seeds: () => [
      seed(
        'template',
        'system: |\n  You operate a phone.\nuser: "Task: {task}\\n{history}\\n{screenshot}"\nstep: "{number}. {operation}"\nnone: none\nturns: false\n',
      ),
    ],
    mutate: textual,
    read: (input, _, folder) => readTemplate(file(folder, 'template.yaml', input)),
  },
];
