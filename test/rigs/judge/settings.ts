/** A VLM judge as the settings build it, against a test server. */
import { join } from 'node:path';
import { JudgeSettings, openJudge } from '../../../pipelines/episodes/judge.js';
import type { Frame } from '../../../src/data/formats/frame.js';
import { VlmJudge } from '../../../src/judges/vlm.js';
import type { EpisodeEnd } from '../../../src/judges/judge.js';
import type { Config } from '../../../src/settings/settings.js';
import { MODEL, type JudgeServer } from './server.js';

export const KEY = 'sk-very-secret-4711';
export const KEY_ENV = 'CRITIQ_TEST_JUDGE_KEY';
process.env[KEY_ENV] = KEY;

/** Settings of a judge at a server, with timeouts that suit a test. */
export function judgeConfig(server: JudgeServer, cwd: string, judge: Partial<JudgeSettings> = {}): Config {
  const section = JudgeSettings.parse({
    kind: 'openai',
    model: MODEL,
    url: server.url,
    api_key_env: KEY_ENV,
    declare: 'ignored',
    timeout_ms: 400,
    retries: 2,
    backoff_ms: 1,
    ...judge,
  });
  return { data: join(cwd, 'data'), run: 'pocket', seed: 0, judge: section } as unknown as Config;
}

/** The judge of these settings, with its budget and its warnings. */
export function judgeAt(server: JudgeServer, cwd: string, settings: Partial<JudgeSettings> = {}) {
  const config = judgeConfig(server, cwd, settings);
  const warnings: string[] = [];
  const { judge, budget } = openJudge(config, join(config.data, config.run), (line) => warnings.push(line));
  if (!(judge instanceof VlmJudge) || !budget) throw new Error('not a VLM judge');
  return { judge, budget, warnings };
}

/** A screen in one shade of grey. */
export function screen(shade: number, { width = 20, height = 40 } = {}): Frame {
  const rgba = new Uint8ClampedArray(4 * width * height).fill(shade);
  for (let i = 3; i < rgba.length; i += 4) rgba[i] = 255;
  return { width, height, rgba };
}

/** The end of an episode on a screen of the given shade. */
export function end(shade: number, more: Partial<EpisodeEnd> = {}): EpisodeEnd {
  return {
    device: { id: 'd' },
    task: { id: 't', text: 'open the shop' },
    frame: screen(shade),
    completed: true,
    ...more,
  };
}
