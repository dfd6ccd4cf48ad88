/** The prompts of served agents. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { EpisodeRefused, rollout, type Agent } from '../../../src/agents/rollout.js';
import { ServedAgent, WAIT, type ServedAgentOptions } from '../../../src/agents/served/agent.js';
import { SERVED_FORMATS, type ServedFormatName } from '../../../src/agents/served/formats.js';
import { patchedSize, sentPicture } from '../../../src/agents/served/picture.js';
import { messagesOf, readTemplate, type Message } from '../../../src/agents/served/template.js';
import { RefusedRequest } from '../../../src/net/json-server.js';
import { decodePng } from '../../../src/data/formats/png.js';
import { DevicePool } from '../../../src/devices/pool/pool.js';
import { createPhones, phoneTasks } from '../../../src/devices/phone/index.js';
import { UserError } from '../../../src/errors.js';
import { stateJudge } from '../../../src/judges/state.js';
import type { Config } from '../../../src/settings/settings.js';
import { agentFingerprint, ServedSettings } from '../../../pipelines/episodes/served.js';
import { emptyFolder } from '../../rigs/process.js';

const [task] = phoneTasks({ set: 'webshop', split: 'train', count: 1, seed: 1 });

/** An agent whose server follows a script: each question gets the next answer, or throws the next error. */
function scripted(
  format: ServedFormatName,
  script: readonly (string | Error)[],
  more: Partial<ServedAgentOptions> = {},
) {
  const asked: { messages: readonly Message[]; seed: number | undefined }[] = [];
  const warnings: string[] = [];
  const { read, template, coordinates, scroll, enter, pastScreens } = SERVED_FORMATS[format];
  const agent = new ServedAgent({
    chat: {
      ask: async (messages, _label, seed) => {
        const next = script[asked.length] ?? script.at(-1)!;
        asked.push({ messages, seed });
        if (typeof next !== 'string') throw next;
        return { text: next, cut: false, model: 'another' };
      },
    },
    model: 'm',
    read,
    template,
    coordinates,
    scroll,
    enter,
    history: 50,
    pastScreens,
    picture: { type: 'png', quality: 90 },
    seed: 7,
    concurrency: 4,
    warn: (line) => warnings.push(line),
    ...more,
  });
  return { agent, asked, warnings };
}

async function play(agent: Agent, maxSteps: number, episodes = 1) {
  const pool = new DevicePool({ count: 1, open: async () => createPhones(1)[0], seed: 0 });
  try {
    const plan = Array.from({ length: episodes }, (_, i) => ({ episode: `e${i}`, task, seed: 5 }));
    return await rollout({ pool, agent, judge: stateJudge(), episodes: plan, maxSteps, deadlineMs: 1000 });
  } finally {
    await pool.close();
  }
}

const texts = (messages: readonly Message[]): string[] =>
  messages.map(({ content }) =>
    typeof content === 'string'
      ? content
      : content.map((part) => (part.type === 'text' ? part.text : '<screen>')).join('|'),
  );

test("CogAgent's prompt lists its past operations and actions in its client's format", async () => {
  const { agent, asked } = scripted('cogagent', [
    "Action: Touch it.\nGrounded Operation: CLICK(box=[[100,100,200,200]], element_info='x')",
    'no idea',
    'Action: Stop.\nGrounded Operation: END()',
  ]);
  await play(agent, 5);
  assert.equal(asked.length, 3);
  assert.deepEqual(texts(asked[0].messages), [
    `Task: ${task.text}\nHistory steps: \n(Platform: Mobile)\n(Answer in Action-Operation-Sensitive format.)|<screen>`,
  ]);
  assert.deepEqual(texts(asked[2].messages), [
    `Task: ${task.text}\nHistory steps: \n0. CLICK(box=[[100,100,200,200]], element_info='x')\tTouch it.\n1. no valid operation\t\n(Platform: Mobile)\n(Answer in Action-Operation-Sensitive format.)|<screen>`,
  ]);
});

test("mobile_use's prompt has the size of the picture and the last calls in order", async () => {
  const call = (x: number) => `<tool_call>{"name": "mobile_use", "arguments": {"action": "click", "coordinate": [${x}, 9]}}</tool_call>`; // prettier-ignore
  const { agent, asked } = scripted('mobile_use', [call(1), call(2), call(3), call(4)], {
    history: 2,
    picture: { type: 'png', quality: 90, patches: { factor: 28, minPixels: 3136, maxPixels: 12_845_056 } },
  });
  await play(agent, 4);
  const [system, user] = texts(asked[3].messages);
  assert.match(system, /280x588 pixels/);
  assert.match(system, /<tools>\n\{"type": "function"/);
  assert.doesNotThrow(() => JSON.parse(/<tools>\n(.*)\n<\/tools>/.exec(system)![1]) as unknown);
  assert.equal(
    user,
    `The user query: ${task.text}\nTask progress (You have done the following operation on the current device): Step 2: {"name":"mobile_use","arguments":{"action":"click","coordinate":[2,9]}}; Step 3: {"name":"mobile_use","arguments":{"action":"click","coordinate":[3,9]}};|<screen>`,
  );
});

test('a model whose coordinates are thousandths is told a screen of 1000 x 1000, not the pixels of its picture', () => {
  const systemOf = (settings: object): string => {
    const config = {
      served: ServedSettings.parse({ model: 'm', format: 'mobile_use', ...settings }),
    } as unknown as Config;
    const { served } = agentFingerprint('served', config) as { served: { template: { system: string } } };
    return served.template.system;
  };
  const relative = systemOf({ coordinates: 'thousandths' });
  assert.match(relative, /The screen is 1000x1000\./);
  assert.match(relative, /\[x, y\] from 0 to 1000/);
  assert.doesNotMatch(relative, /pixels|screen\.width/);
  assert.match(systemOf({}), /\{screen\.width\}x\{screen\.height\} pixels/);
});

test('UI-TARS gets its past answers as turns, each after its screen if that is still shown', async () => {
  const { agent, asked } = scripted('ui_tars', ['Thought: a.\nAction: press_home()', 'Thought: b.\nAction: wait()'], {
    pastScreens: 2,
  });
  const { rollouts } = await play(agent, 5);
  const roles = asked.map(({ messages }) => messages.map(({ role }) => role[0]).join(''));
  assert.deepEqual(roles, ['u', 'uau', 'uauau', 'uauauau', 'uaauauau'], 'old screens are dropped, old answers stay');
  const [first, ...rest] = texts(asked[4].messages);
  assert.match(first, new RegExp(`## User Instruction\n${task.text}$`));
  assert.deepEqual(rest, [
    'Thought: a.\nAction: press_home()',
    'Thought: b.\nAction: wait()',
    '<screen>',
    'Thought: b.\nAction: wait()',
    '<screen>',
    'Thought: b.\nAction: wait()',
    '<screen>',
  ]);
  const { steps } = rollouts[0].episode;
  assert.deepEqual(
    steps.slice(1).map(({ action, applied }) => [action, applied]),
    Array.from({ length: 4 }, () => [WAIT, 'no']),
  );
  assert.equal(agent.counts.invalid, 0, 'waiting is not an invalid answer');
});

test('an answer with several actions takes one step each, with a single question', async () => {
  const { agent, asked } = scripted('cogagent', [
    "Action: Type.\nGrounded Operation: TYPE(box=[[100,100,200,200]], text='lamp')",
    'Action: Stop.\nGrounded Operation: END()',
  ]);
  const { rollouts } = await play(agent, 10);
  const { steps } = rollouts[0].episode;
  assert.deepEqual(
    steps.map(({ action }) => /"action_type": "(\w+)"/.exec(action)![1]),
    ['DUAL_POINT', 'TYPE', 'PRESS_ENTER', 'STATUS_TASK_COMPLETE'],
  );
  assert.deepEqual(
    steps.map(({ said }) => said !== undefined),
    [true, false, false, true],
  );
  assert.equal(asked.length, 2);
  // the pending actions of an episode that ends early do not carry over to the next one
  const cut = scripted('cogagent', ["Grounded Operation: TYPE(box=[[100,100,200,200]], text='lamp')"]);
  const { rollouts: two } = await play(cut.agent, 2, 2);
  assert.deepEqual(
    two.map(({ episode }) => episode.steps.map(({ action }) => /"action_type": "(\w+)"/.exec(action)![1])),
    [
      ['DUAL_POINT', 'TYPE'],
      ['DUAL_POINT', 'TYPE'],
    ],
  );
  assert.equal(cut.asked.length, 2);
});

test('seeds depend only on the step; a wrong model name is logged once', async () => {
  const one = scripted('ui_tars', ['Thought: b.\nAction: wait()']);
  const two = scripted('ui_tars', ['Thought: b.\nAction: wait()']);
  await play(one.agent, 3, 2);
  await play(two.agent, 3, 2);
  const seeds = (of: typeof one) => of.asked.map(({ seed }) => seed);
  assert.deepEqual(seeds(one), seeds(two));
  assert.equal(new Set(seeds(one)).size, 6);
  assert.equal(one.warnings.filter((line) => line.includes('answers for the model "another"')).length, 1);
});

test('a refusal before the first answer is an error of the settings; a later one costs only its episode', async () => {
  const refused = new RefusedRequest('http://x: the server answered 400: too long', 400);
  await assert.rejects(play(scripted('ui_tars', [refused]).agent, 3), RefusedRequest);
  const late = scripted('ui_tars', ['Thought: b.\nAction: wait()', refused, 'Thought: b.\nAction: wait()']);
  const { rollouts, lost } = await play(late.agent, 3, 2);
  assert.equal(rollouts.length, 1);
  assert.deepEqual(lost.map(({ episode, faults }) => [episode, faults.length, faults[0].call]), [['e0', 1, 'agent']]); // prettier-ignore
  const gone = new RefusedRequest('http://x: the server answered 401', 401);
  const key = scripted('ui_tars', ['Thought: b.\nAction: wait()', gone]);
  await assert.rejects(play(key.agent, 3), (error) => error === gone && !(error instanceof EpisodeRefused));
});

test('patched sizes equal those of qwen-vl-utils', () => {
  const sized = (width: number, height: number, minPixels = 3136, maxPixels = 12_845_056, factor = 28) => {
    const size = patchedSize({ width, height }, { factor, minPixels, maxPixels });
    return [size.width, size.height];
  };
  // numbers from the released Python code: nearest patches, or floor or ceil of the scaled sides
  assert.deepEqual(sized(270, 585), [280, 588]);
  assert.deepEqual(sized(1092, 2408), [1092, 2408], 'the size in the cookbook');
  assert.deepEqual(sized(1080, 2400), [1092, 2408]);
  assert.deepEqual(sized(1080, 2400, 3136, 1_003_520), [672, 1484]);
  assert.deepEqual(sized(42, 98), [56, 112], 'halves round to even multiples, as in Python: 1.5 to 2, 3.5 to 4');
  assert.deepEqual(sized(70, 126), [56, 112], '2.5 to 2, 4.5 to 4');
  assert.deepEqual(sized(20, 40), [56, 84], 'small pictures grow to min_pixels');
  assert.deepEqual(sized(1080, 2400, 3136, 12_845_056, 32), [1088, 2400]);
  assert.throws(() => sized(10, 2010), /too long/);
});

test('resizing keeps the mean brightness of a picture; JPEG pictures keep their size', async () => {
  const [phone] = createPhones(1);
  await phone.reset('app', { task, seed: 1, deadlineMs: 1000 });
  const frame = await phone.screenshot({ deadlineMs: 1000 });
  const patches = { factor: 28, minPixels: 3136, maxPixels: 12_845_056 };
  const { url, width, height } = await sentPicture(frame, { type: 'png', quality: 90, patches });
  const shown = decodePng(Buffer.from(url.split(',')[1], 'base64'));
  assert.deepEqual([shown.width, shown.height, width, height], [280, 588, 280, 588]);
  const mean = ({ rgba }: typeof frame) => rgba.reduce((sum, value) => sum + value, 0) / rgba.length;
  assert.ok(Math.abs(mean(shown) - mean(frame)) < 1);
  const jpeg = await sentPicture(frame, { type: 'jpeg', quality: 80 });
  assert.match(jpeg.url, /^data:image\/jpeg;base64,\/9j\//);
  assert.deepEqual([jpeg.width, jpeg.height], [frame.width, frame.height]);
});

test("a user's template: placeholders are filled once, and mistakes are named", (t) => {
  const file = join(emptyFolder(t), 'prompt.yaml');
  const write = (text: string) => {
    writeFileSync(file, text);
    return readTemplate(file);
  };
  const template = write(
    'system: "You see {screen.width} by {screen.height}. JSON: {\\"action\\": 1}"\nuser: "Screen: {screenshot}\\nGoal: {task}\\nBefore:{history}"\nstep: " [{index}/{number}] {operation} ({summary}) {answer};"\nnone: " nothing"',
  );
  const asked = { task: 'say {history}', steps: [], first: 0, picture: 'data:x', width: 3, height: 4 };
  assert.deepEqual(texts(messagesOf(template, asked)), [
    'You see 3 by 4. JSON: {"action": 1}',
    'Screen:|<screen>|Goal: say {history}\nBefore: nothing',
  ]);
  const steps = [{ answer: 'A {task}', operation: 'o', summary: 's' }];
  assert.match(texts(messagesOf(template, { ...asked, steps, first: 2 }))[1], /Before: \[2\/3\] o \(s\) A \{task\};$/);
  for (const [text, line] of [
    ['user: "{goal}"', /unknown placeholder \{goal\} in user; expected \{task\}/],
    ['user: "x"', /no \{task\} in system or user/],
    ['user: "{task}"\nstep: "{screenshot}"', /unknown placeholder \{screenshot\} in step/],
    ['system: "{task}"', /user: .*expected system, user/],
    ['user: "{task}"\nusers: "x"', /users/],
    ['user: [', /not valid YAML/],
    ['- 1', /expected system, user/],
  ] as const) {
    assert.throws(
      () => write(text),
      (error) => error instanceof UserError && line.test(error.message) && error.message.startsWith('served.template='),
      text,
    );
  }
});
