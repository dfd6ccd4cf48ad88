/** No client lets its key into an error, a warning, a result or a file, however the server repeats it; none follows a redirect. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { JudgeSettings, openJudge } from '../../pipelines/episodes/judge.js';
import { VllmClient } from '../../src/agents/representers/vllm-client.js';
import { ServedAgent } from '../../src/agents/served/agent.js';
import { ServedChat } from '../../src/agents/served/chat.js';
import { SERVED_FORMATS } from '../../src/agents/served/formats.js';
import type { Observation } from '../../src/agents/rollout.js';
import { JsonServer, type JsonServerOptions } from '../../src/net/json-server.js';
import { Metrics } from '../../src/runner/metrics.js';
import { Output } from '../../src/runner/outputs.js';
import type { Config } from '../../src/settings/settings.js';
import { MlflowSink } from '../../src/tracking/mlflow.js';
import { ENCODINGS } from '../rigs/canary/encodings.js';
import { noKeyBelow, noKeyIn } from '../rigs/canary/search.js';
import { BEHAVIOURS, EchoServer, MODEL } from '../rigs/canary/server.js';
import { end, screen } from '../rigs/judge/settings.js';
import { emptyFolder } from '../rigs/process.js';
import { fleetOf, EPISODE, warnings, PATIENT } from '../rigs/webdriver/rig.js';

/** Uses a client once, as a stage does. Returns and warns what is stored or printed. */
type Use = (way: { url: string; key: string; folder: string; nth: number; warn: (line: string) => void }) => Promise<unknown>; // prettier-ignore

const server = (url: string, apiKey: string): JsonServerOptions => ({
  ...{ url, apiKey, setting: 'x.url', apiKeyEnv: 'X_KEY', docs: 'docs/judges.md' },
  ...{ timeoutMs: 10_000, retries: 0, backoffMs: 1, seed: 0 },
});

const judged =
  (kind: 'openai' | 'gemini'): Use =>
  ({ url, key, folder, nth, warn }) => {
    process.env.CRITIQ_TEST_CANARY = key;
    const settings = JudgeSettings.parse({
      ...{ kind, url, model: MODEL, api_key_env: 'CRITIQ_TEST_CANARY', declare: 'ignored', format: 'text' },
      ...{ timeout_ms: 10_000, retries: 0, backoff_ms: 1 },
    });
    const config = { data: folder, run: 'run', seed: 0, judge: settings } as unknown as Config;
    const { judge } = openJudge(config, join(folder, 'run'), warn);
    return judge.judge(end(nth % 250, { task: { id: 't', text: `task ${nth}` } }));
  };

const CLIENTS: Readonly<Record<string, Use>> = {
  'an OpenAI judge': judged('openai'),
  'a Gemini judge': judged('gemini'),
  'a served agent': async ({ url, key, nth, warn }) => {
    const { template, read } = SERVED_FORMATS.ui_tars;
    const agent = new ServedAgent({
      chat: new ServedChat({ server: server(url, key), model: MODEL, temperature: 0, maxTokens: 0, body: {} }),
      ...{ model: MODEL, template, read, coordinates: 'pixels', scroll: 'content', enter: false, history: 5 },
      ...{ pastScreens: 0, picture: { type: 'png' as const, quality: 90 }, seed: undefined, concurrency: 1, warn },
    });
    const frame = screen(nth % 250);
    const observation = {
      ...{ key: `${nth}`, task: { id: 't', text: 'type it' }, previous: '', frame, previousFrame: frame, history: [] },
      signal: new AbortController().signal,
    } as unknown as Observation;
    const first = await agent.act(observation);
    // the action itself goes to the device as the agent said it; everything else is stored
    const second = await agent.act({ ...observation, history: [{ decision: first }] });
    return [first, second].map(({ text, said }) => ({ text, said }));
  },
  'a VLM behind vLLM': ({ url, key, nth, warn }) => {
    const at = server(url, key);
    const client = new VllmClient({ server: at, chat: at, model: MODEL, position: 'answer', answer: 'generated', concurrency: 1, warn }); // prettier-ignore
    return client.vector(
      { key: `${nth}`, frame: screen(nth % 250), text: 'q' },
      undefined,
      new AbortController().signal,
    );
  },
  'the JSON client': ({ url, key }) =>
    new JsonServer(server(url, key)).post('/any', '{}', 'l', () => 'read', new AbortController().signal),
  'MLflow with a token': async ({ url, key, folder }) => {
    const env = { MLFLOW_TRACKING_TOKEN: key };
    return new MlflowSink(folder, { url, experiment: 'study' }, env).push();
  },
  'MLflow with a password': async ({ url, key, folder }) => {
    const env = { MLFLOW_TRACKING_USERNAME: 'me', MLFLOW_TRACKING_PASSWORD: key };
    return new MlflowSink(folder, { url, experiment: 'study' }, env).push();
  },
};

async function serving(t: TestContext): Promise<{ echo: EchoServer; url: string }> {
  const echo = new EchoServer();
  const url = await echo.start();
  t.after(() => echo.stop());
  return { echo, url };
}

let count = 0;
/** A key of its own for each client, so that each has to see to it itself. */
const newKey = (): string => `cnr/Y-${count++}4711_"q+Z=z\\9&7Ä`;

/** An error with all that it holds. */
const told = (error: unknown): string => {
  const { message, stack, cause } = error as Error;
  return `${message} ${stack} ${cause === undefined ? '' : told(cause)}`;
};

for (const [name, use] of Object.entries(CLIENTS)) {
  test(`${name} keeps its key to itself`, async (t) => {
    const { echo, url } = await serving(t);
    const folder = emptyFolder(t);
    await training(folder);
    // HTTP headers hold Latin-1 only
    const key = newKey();
    let results = 0;
    for (const behaviour of BEHAVIOURS) {
      echo.behaviour = behaviour;
      if (name === 'a served agent')
        echo.say = (_, said) => `Thought: ${said}\nAction: type(content='${said}')\nAction: ${said}`;
      for (let nth = 0; nth < 2 * Object.keys(ENCODINGS).length; nth++) {
        const lines: string[] = [];
        const warn = (line: string): void => void lines.push(line);
        const result = await use({ url, key, folder, nth: results + nth, warn }).catch(told);
        noKeyIn(JSON.stringify([result, lines]), [key], `${name}, ${behaviour}, ${nth}`);
      }
      results += 100;
    }
    assert.deepEqual(echo.strayed, [], 'no redirect is followed');
    assert.ok(noKeyBelow(folder, [key]) >= 2);
  });
}

test('a WebDriver server gets its key and nobody else', async (t) => {
  const { echo, url } = await serving(t);
  const [password, access] = [newKey(), newKey()];
  const env = { CANARY_USER: 'me', CANARY_KEY: password, CANARY_ACCESS: access };
  const credentials = { user_env: 'CANARY_USER', key_env: 'CANARY_KEY' };
  for (const behaviour of BEHAVIOURS) {
    echo.behaviour = behaviour;
    for (let nth = 0; nth < Object.keys(ENCODINGS).length; nth++) {
      const settings = {
        ...credentials,
        server_ms: 0,
        read_retries: 0,
        capabilities: { 'vendor:options': { accessKey: '${ENV:CANARY_ACCESS}' } },
        ready: { script: 'ready?', matches: '^never$' },
        ready_ms: 1,
      };
      const errors: string[] = [];
      const warned = await warnings(async () => {
        const fleet = fleetOf(t, { url }, settings, env);
        try {
          const device = await fleet.open(0);
          await device.reset('app', EPISODE).catch((error: unknown) => errors.push(told(error)));
          await device.act({ type: 'TYPE', text: 'x' }, PATIENT).catch((error: unknown) => errors.push(told(error)));
          await device.close();
        } catch (error) {
          errors.push(told(error));
        }
      });
      noKeyIn(JSON.stringify([errors, warned]), [password, access], `${behaviour}, ${nth}`);
    }
  }
  assert.deepEqual(echo.strayed, []);
});

/** A run with a stage `critic` that has metrics. */
async function training(folder: string): Promise<void> {
  writeFileSync(join(folder, 'run.json'), JSON.stringify({ seed: 3 }));
  const output = new Output('critic', join(folder, 'critic'));
  await output.writePlan({ stage: 'critic', instance: 'critic', settings: {}, shards: ['critic'], finished: true });
  const metrics = new Metrics(folder, 'critic', () => true);
  metrics.shard('critic').write(1, { loss: 1 });
  metrics.close();
}
