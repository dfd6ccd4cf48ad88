/** Files that the docs' commands expect in their folder, because a reader of the page would have them. */
import { cpSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { encodePng } from '../../../src/data/formats/png.js';
import { writePlain, writeSeeClick } from '../demonstrations.js';
import { fixture } from '../files.js';
import type { DocFolder } from './folder.js';

/** Makers of the files, by the names for `given=`. */
export const GIVEN: Readonly<Record<string, (folder: DocFolder) => unknown>> = {
  /** `set/labelled.jsonl`: screens with labels */
  'labelled-set': async ({ clone }) => {
    const lines: string[] = [];
    for (const [i, shade] of [40, 200].entries()) {
      await screen(join(clone, 'set/screens'), `${i}.png`, shade);
      const label = i === 0 ? 'failure' : 'success';
      lines.push(JSON.stringify({ image: `screens/${i}.png`, task: 'Open settings', label }));
    }
    writeFileSync(join(clone, 'set/labelled.jsonl'), `${lines.join('\n')}\n`);
  },
  /** `examples.json` in the folder `examples`: few-shot examples for a judge */
  'few-shot': async ({ clone }) => {
    await screen(join(clone, 'examples'), 'launcher.png', 90);
    const examples = [{ image: 'launcher.png', task: 'Open settings', status: 'failure', reasoning: 'A launcher.' }];
    writeFileSync(join(clone, 'examples/examples.json'), JSON.stringify(examples));
  },
  /** `merged/`: a tuned VLM */
  'merged-vlm': ({ clone }) => {
    mkdirSync(join(clone, 'merged'));
    writeFileSync(join(clone, 'merged/config.json'), JSON.stringify({ model_type: 'llava', hidden_size: 8 }));
    writeFileSync(join(clone, 'merged/model.safetensors'), 'weights');
  },
  /** `data/exp7` without a VLM of its own, and so without representations */
  'no-vlm': ({ clone }) => {
    for (const name of ['vlm', 'representations']) rmSync(join(clone, 'data/exp7', name), { recursive: true });
  },
  /** `digirl_off2on.yaml`: some keys of a settings file of DigiRL */
  'reference-config': ({ clone }) => {
    const keys = { train_algorithm: 'digirl', train_mode: 'off2on', gamma: 0.5, tau: 0.01, rollout_size: 16 };
    writeFileSync(join(clone, 'digirl_off2on.yaml'), JSON.stringify(keys));
  },
  /** `aitw_data_train.json`, `aitw_data_val.json`, `aitw_images`: AitW in SeeClick's layout */
  seeclick: async ({ clone }) => {
    await writeSeeClick(clone, 'train', 4, 0, 'aitw_images');
    await writeSeeClick(clone, 'val', 2, 10, 'aitw_images');
  },
  /** `general/`, `standard.json`, `android_control-00000-of-00001`: TFRecords of Android in the Wild and of AndroidControl */
  tfrecords: ({ clone }) => {
    const name = 'android_control-00000-of-00001';
    cpSync(fixture('tfrecord', 'general', 'aitw-00000-of-00001'), join(clone, 'general', 'aitw-00000-of-00001'));
    cpSync(fixture('tfrecord', name), join(clone, name));
    writeFileSync(join(clone, 'standard.json'), JSON.stringify({ train: ['1234567890123456789'], test: ['77'] }));
  },
  /** `episodes`: some episodes in the plain layout */
  'plain-episodes': ({ clone }) => writePlain(join(clone, 'episodes'), 8),
  /** `general-offline.pt`: a file in the layout of the released offline data; `general-images`: its first screenshot */
  'digiq-file': async ({ clone }) => {
    cpSync(fixture('golden', 'released', 'trajectories.pt'), join(clone, 'general-offline.pt'));
    await screen(join(clone, 'general-images'), '0_0.png', 90);
  },
};

/** Puts checkpoints below `~/models`, where readers of the pages on real models have them. */
export function giveModels(home: string): void {
  for (const [name, checkpoint, tokenizer] of [
    ['Auto-UI-Base', 'autoui-bin', 't5-hub'],
    ['roberta-base', 'roberta', 'roberta-4'],
    ['blip2-opt-2.7b', 'blip2', ''],
  ]) {
    const folder = join(home, 'models', name);
    cpSync(fixture('checkpoints', checkpoint), folder, { recursive: true });
    for (const file of tokenizer === '' ? [] : ['tokenizer.json', 'tokenizer_config.json'])
      cpSync(fixture('tokenizers', tokenizer, file), join(folder, file));
  }
}

async function screen(folder: string, name: string, shade: number): Promise<void> {
  mkdirSync(folder, { recursive: true });
  const rgba = new Uint8ClampedArray(4 * 20 * 40).fill(shade);
  for (let i = 3; i < rgba.length; i += 4) rgba[i] = 255;
  writeFileSync(join(folder, name), await encodePng({ width: 20, height: 40, rgba }));
}
