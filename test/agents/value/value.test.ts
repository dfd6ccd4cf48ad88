/** What a value model of VEM is asked, and how a served one's answers are read. */
import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test, type TestContext } from 'node:test';
import { formatAction } from '../../../src/agents/grammar.js';
import { pocketValuePrompt } from '../../../src/agents/value/pocket-value.js';
import { policyPrompt } from '../../../src/agents/policy/prompt.js';
import { ratingQuestion } from '../../../src/agents/value/question.js';
import { ratedPicture, shortAction } from '../../../src/agents/rated-action.js';
import { ratingOf, ServedValue, valueCache } from '../../../src/agents/value/served-value.js';
import { histories, type RatedAction } from '../../../src/agents/value/value-model.js';
import { tap, type Action } from '../../../src/data/action.js';
import { decodePng } from '../../../src/data/formats/png.js';
import { ratingQuality } from '../../../src/report/rating-quality.js';
import { emptyFolder } from '../../rigs/process.js';

const swipe = (touch: [number, number], lift: [number, number]): Action => ({ type: 'DUAL_POINT', touch, lift });
const TAP = formatAction(tap([0.25, 0.5]));
const TYPED = formatAction({ type: 'TYPE', text: 'lamp "red"' });
const DONE = formatAction({ type: 'STATUS_TASK_COMPLETE' });

const screen = (shade: number, width = 112, height = 224) => ({
  width,
  height,
  rgba: new Uint8ClampedArray(4 * width * height).fill(shade),
});

function rated(changed: Partial<RatedAction> = {}): RatedAction {
  return {
    goal: 'Find a lamp',
    history: [],
    action: TAP,
    image: 'a',
    frame: () => Promise.resolve(screen(200)),
    ...changed,
  };
}

test('the history of a step ends before it: the first step has none, and no step sees itself or a later one', () => {
  const rows = [
    // not in order, and two trajectories mixed
    { tid: 7, trajectory: 'b', step: 1, action: 'b1' },
    { tid: 1, trajectory: 'a', step: 0, action: 'a0' },
    { tid: 6, trajectory: 'b', step: 0, action: 'b0' },
    { tid: 3, trajectory: 'a', step: 2, action: 'a2' },
    { tid: 2, trajectory: 'a', step: 1, action: 'a1' },
  ];
  const found = histories(rows);
  assert.deepEqual(Object.fromEntries(found), { 1: [], 2: ['a0'], 3: ['a0', 'a1'], 6: [], 7: ['b0'] });
});

test('the pocket value model reads the prompt of the policy, with the newest earlier decisions', () => {
  assert.equal(pocketValuePrompt('Find a lamp', [], 3), policyPrompt('Find a lamp', ''));
  assert.equal(pocketValuePrompt('Find a lamp', [TYPED, TAP], 1), policyPrompt('Find a lamp', TAP));
  const both = pocketValuePrompt('Find a lamp', [TYPED, 'nonsense', TAP], 3);
  assert.ok(both.indexOf('"TYPE"') > 0 && both.indexOf('"TYPE"') < both.indexOf('"DUAL_POINT"'), both);
  assert.ok(!both.includes('nonsense'));
  assert.equal(pocketValuePrompt('Find a lamp', [TYPED, TAP], 0), policyPrompt('Find a lamp', ''));
});

test('short actions: taps with [y, x], swipes by the axis on which they move further, all others by type', () => {
  assert.equal(shortAction(tap([0.25, 0.5])), '"action_type": "DUAL_POINT", "click_point": "[0.2500, 0.5000]"');
  const directions = {
    UP: [0.5, 0.5, 0.2, 0.5],
    DOWN: [0.2, 0.5, 0.5, 0.5],
    LEFT: [0.5, 0.8, 0.5, 0.2],
    RIGHT: [0.5, 0.2, 0.5, 0.8],
  };
  for (const [name, [y, x, toY, toX]] of Object.entries(directions))
    assert.equal(shortAction(swipe([y, x], [toY, toX])), `"action_type": "SCROLL_${name}"`);
  assert.equal(shortAction({ type: 'TYPE', text: 'lamp' }), '"action_type": "TYPE", "typed_text": "lamp"');
  assert.equal(shortAction({ type: 'PRESS_HOME' }), '"action_type": "PRESS_HOME"');
});

test('the question has the task, the earlier actions by number, and the current action itself', () => {
  const lines = ratingQuestion(rated({ history: [TYPED, 'nonsense'], action: DONE }), 20).split('\n');
  assert.deepEqual(lines.slice(-6), [
    'Task: Find a lamp',
    'Actions so far:',
    'step 0: "action_type": "TYPE", "typed_text": "lamp "red""',
    'step 1: an invalid action: nonsense',
    'Current action:',
    'step 2: "action_type": "STATUS_TASK_COMPLETE"',
  ]);
  assert.ok(
    ratingQuestion(rated({ history: [TYPED, TAP] }), 1).includes('so far:\nstep 1: "action_type": "DUAL_POINT"'),
  );
  assert.ok(ratingQuestion(rated(), 20).includes('so far:\nnone\n'));
});

test('a red dot of 20 pixels marks the middle of a tap or a swipe, and nothing else', () => {
  const frame = screen(200);
  const red = (action: string) => {
    const { rgba } = ratedPicture(frame, action);
    const found: [number, number][] = [];
    for (let i = 0; i < rgba.length; i += 4)
      if (rgba[i] === 255 && rgba[i + 1] === 0 && rgba[i + 2] === 0)
        found.push([Math.floor(i / 4 / frame.width), (i / 4) % frame.width]);
    return found;
  };
  const middle = (points: [number, number][], axis: 0 | 1) =>
    points.reduce((sum, point) => sum + point[axis] + 0.5, 0) / points.length;
  for (const action of [TAP, formatAction(swipe([0.1, 0.5], [0.4, 0.5]))]) {
    const points = red(action);
    assert.ok(Math.abs(points.length - Math.PI * 400) < 20, String(points.length));
    assert.deepEqual([middle(points, 0), middle(points, 1)], [56, 56]);
  }
  assert.deepEqual([red(TYPED), red(DONE), red('nonsense')], [[], [], []]);
  assert.equal(frame.rgba[(56 * 112 + 56) * 4 + 1], 200, 'the screenshot itself stays as it is');
});

const SERVER = { url: 'http://x', setting: 'value.url', docs: 'docs/vem.md' };
const answered = (top: readonly (readonly [token: string, p: number])[], said = 'whatever') => ({
  model: 'judge',
  choices: [
    {
      message: { content: said },
      logprobs: { content: [{ top_logprobs: top.map(([token, p]) => ({ token, logprob: Math.log(p) })) }] },
    },
  ],
});
const near = (got: number, expected: number) => assert.ok(Math.abs(got - expected) < 1e-9, `${got}, not ${expected}`);

test('the value comes from the log-probabilities of 1 and 2, whatever the model writes', () => {
  near(
    ratingOf(
      answered(
        [
          ['2', 0.6],
          ['1', 0.2],
          ['The', 0.1],
        ],
        '1',
      ),
      SERVER,
    ),
    0.75,
  );
  // an answer that int() cannot read, and one that would read as 1
  near(
    ratingOf(
      answered(
        [
          ['The', 0.9],
          ['1', 0.03],
          ['2', 0.01],
        ],
        'The rating is 2.',
      ),
      SERVER,
    ),
    0.25,
  );
  // digits with a blank in front count too
  near(
    ratingOf(
      answered([
        ['2', 0.3],
        [' 2', 0.3],
        ['1', 0.4],
      ]),
      SERVER,
    ),
    0.6,
  );
  // a digit beyond the likeliest tokens is at most as likely as the last of them
  near(
    ratingOf(
      answered([
        ['2', 0.98],
        ['\n', 0.02],
      ]),
      SERVER,
    ),
    0.98,
  );
  assert.throws(
    () =>
      ratingOf(
        answered([
          ['Yes', 0.9],
          ['No', 0.1],
        ]),
        SERVER,
      ),
    /neither 1 nor 2 .*"Yes"/,
  );
  for (const logprobs of [undefined, null, { content: null }, { content: [{}] }])
    assert.throws(
      () => ratingOf({ choices: [{ message: { content: '2' }, logprobs }] }, SERVER),
      /^UserError: http:\/\/x: the server returns no log-probabilities/,
    );
});

/** A value server that likes taps. */
async function server(t: TestContext, answer: (body: Body) => unknown): Promise<{ url: string; bodies: Body[] }> {
  const bodies: Body[] = [];
  const made: Server = createServer((request, response) => {
    let text = '';
    request.on('data', (piece: Buffer) => (text += piece.toString()));
    request.on('end', () => {
      bodies.push(JSON.parse(text) as Body);
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify(answer(bodies.at(-1)!)));
    });
  });
  await new Promise<void>((resolve) => made.listen(0, '127.0.0.1', resolve));
  t.after(() => made.close());
  return { url: `http://127.0.0.1:${(made.address() as AddressInfo).port}`, bodies };
}

interface Body {
  readonly model: string;
  readonly max_tokens: number;
  readonly logprobs: boolean;
  readonly top_logprobs: number;
  readonly messages: { content: { text?: string; image_url?: { url: string } }[] }[];
}

function served(url: string, cache: string): ServedValue {
  return new ServedValue({
    server: { ...SERVER, url, apiKeyEnv: 'KEY', timeoutMs: 5000, retries: 1, backoffMs: 1, seed: 0 },
    model: 'judge',
    fingerprint: 'f',
    history: 20,
    maxPixels: 10_000,
    concurrency: 4,
    cache: valueCache(cache),
  });
}

test('a served value model is asked once about each content, with a small dotted picture, and answers stay on disk', async (t) => {
  const { url, bodies } = await server(t, ({ messages }) =>
    answered(
      messages[0].content[1].text!.includes('Current action:\nstep 0: "action_type": "DUAL_POINT"')
        ? [
            ['2', 0.9],
            ['1', 0.1],
          ]
        : [
            ['1', 0.8],
            ['2', 0.2],
          ],
    ),
  );
  const cache = emptyFolder(t);
  const model = served(url, cache);
  const { signal } = new AbortController();
  const actions = [rated(), rated({ action: DONE }), rated(), rated({ image: 'b' })];
  const values = await model.good(actions, signal);
  [0.9, 0.2, 0.9, 0.9].forEach((expected, i) => near(values[i], expected));
  assert.equal(bodies.length, 3);
  const [{ max_tokens, logprobs, top_logprobs, messages }] = bodies;
  assert.deepEqual([max_tokens, logprobs, top_logprobs], [1, true, 20]);
  const { url: picture } = messages[0].content[0].image_url!;
  const { width, height, rgba } = decodePng(Buffer.from(picture.split(',')[1], 'base64'));
  assert.deepEqual([width, height], [56, 140], 'whole patches of 28 pixels, at most 10,000 pixels');
  const at = 4 * (Math.round(0.25 * height) * width + Math.round(0.5 * width));
  assert.ok(rgba[at] > 200 && rgba[at + 1] < 60, 'the dot is in the picture');

  assert.deepEqual(await model.good(actions, signal), values);
  assert.deepEqual(await served(url, cache).good(actions, signal), values);
  assert.equal(bodies.length, 3);
  await served(url, cache).good([rated({ history: [TYPED] })], signal);
  assert.equal(bodies.length, 4);
  // another plan is the same question; another place, though its point reads alike, is another picture
  const planned = TAP.replace('Action Plan: [', 'Action Plan: [TYPE, ');
  assert.notEqual(planned, TAP);
  await served(url, cache).good([rated({ action: planned })], signal);
  assert.equal(bodies.length, 4);
  const scrolls = [swipe([0.8, 0.5], [0.2, 0.5]), swipe([0.9, 0.5], [0.2, 0.5])].map((action) => formatAction(action));
  await served(url, cache).good(scrolls.map((action) => rated({ action })), signal); // prettier-ignore
  assert.equal(bodies.length, 6);
});

test('a server without log-probabilities is a mistake that is told at once', async (t) => {
  const { url, bodies } = await server(t, () => ({ model: 'judge', choices: [{ message: { content: '2' } }] }));
  await assert.rejects(
    served(url, emptyFolder(t)).good([rated()], new AbortController().signal),
    /the server returns no log-probabilities \(top_logprobs\).*value\.url; docs\/vem\.md/,
  );
  assert.equal(bodies.length, 1, 'another try would not help');
});

test('quality: accuracy, the area under the ROC curve with ties, and calibration', () => {
  const step = (probability: number, good: boolean, trajectory = 'a') => ({ probability, good, trajectory });
  const quality = ratingQuality([
    step(0.9, true),
    step(0.5, false, 'b'),
    step(0.5, true),
    step(0.2, false),
    step(0.7, false),
  ])!;
  assert.equal(quality.steps, 5);
  assert.equal(quality.trajectories, 2);
  // 0.9 and the two bad ones below 0.5 are right; 0.5 is not above the half
  assert.equal(quality.accuracy, 3 / 5);
  // pairs of a good and a bad step: 3 of 3 for 0.9, and a tie and one win of 3 for 0.5
  near(quality.auc!, (3 + 1.5) / 6);
  near(quality.calibration_error, (0.1 + 0.5 * 0 + 0.2 + 0.7) / 5);
  assert.equal(ratingQuality([step(0.9, true)])!.auc, null);
  assert.equal(ratingQuality([]), undefined);
});
