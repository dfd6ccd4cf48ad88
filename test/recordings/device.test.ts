/** Devices that film their own screens: each episode has its film, and a failed film costs no episode. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatAction } from '../../src/agents/grammar.js';
import { rollout, type Agent } from '../../src/agents/rollout.js';
import type { Deadline } from '../../src/devices/device.js';
import { DEFAULT_GRID, expert, Phone, phoneTasks } from '../../src/devices/phone/index.js';
import { DevicePool } from '../../src/devices/pool/pool.js';
import { stateJudge } from '../../src/judges/state.js';
import { Random } from '../../src/random.js';
import { FakeClock } from '../rigs/fake-clock.js';

const tasks = phoneTasks({ set: 'webshop', split: 'train', count: 3, seed: 1 });
const episodes = tasks.map((task, i) => ({ episode: `e${i}`, task, seed: 100 + i }));
const flawless: Agent = {
  act: async ({ device, key }) => {
    const action = expert(device as Phone, { grid: DEFAULT_GRID, random: new Random(1, key) });
    return { text: formatAction(action), action };
  },
};

type Film = 'well' | 'does not start' | 'does not stop' | 'hangs';

class FilmingPhone extends Phone {
  readonly calls: string[] = [];
  private films = 0;

  constructor(
    id: string,
    private readonly how: (film: number) => Film,
  ) {
    super(id);
  }

  async startRecording({ deadlineMs }: Deadline): Promise<void> {
    this.calls.push(`start ${deadlineMs}`);
    if (this.how(this.films++) === 'does not start') throw new Error('screenrecord: no such\nencoder');
  }

  async stopRecording(): Promise<Uint8Array> {
    this.calls.push('stop');
    const how = this.how(this.films - 1);
    if (how === 'does not stop') throw new Error('the file is gone');
    if (how === 'hangs') return new Promise(() => undefined);
    return Buffer.from(`film ${this.films}`);
  }
}

async function run(how: (film: number) => Film, film = true) {
  const clock = new FakeClock();
  const phones: FilmingPhone[] = [];
  const open = async (slot: number) => {
    phones.push(new FilmingPhone(`phone-${slot}`, phones.length === 0 ? how : () => 'well'));
    return phones.at(-1)!;
  };
  const pool = new DevicePool({ count: 1, open, seed: 0, clock });
  const failed: string[] = [];
  const onFilmFailed = ({ message }: Error) => failed.push(message);
  const options = { pool, agent: flawless, judge: stateJudge(), episodes, maxSteps: 20, deadlineMs: 1000 };
  const { rollouts, lost } = await clock.until(rollout({ ...options, film, onFilmFailed }));
  await pool.close();
  return { rollouts, lost, failed, phones, films: rollouts.map(({ film: made }) => made && String(made)) };
}

test('each episode has its film; without film=true no recording starts', async () => {
  const { rollouts, films, phones, failed } = await run(() => 'well');
  assert.deepEqual(films, ['film 1', 'film 2', 'film 3']);
  assert.deepEqual(phones[0].calls, ['start 1000', 'stop', 'start 1000', 'stop', 'start 1000', 'stop']);
  assert.deepEqual(failed, []);
  const without = await run(() => 'well', false);
  assert.deepEqual(without.phones[0].calls, []);
  assert.deepEqual(
    without.rollouts,
    rollouts.map(({ film: _, ...rest }) => rest),
    'filming changes nothing else',
  );
});

test('a failed film is reported in one line; the episode counts, and the device stays', async () => {
  const { rollouts, lost, films, phones, failed } = await run((film) => (film === 0 ? 'does not start' : film === 1 ? 'does not stop' : 'well')); // prettier-ignore
  assert.deepEqual(films, [undefined, undefined, 'film 3']);
  assert.deepEqual(failed, [
    'device phone-0: startRecording: screenrecord: no such encoder',
    'device phone-0: stopRecording: the file is gone',
  ]);
  assert.equal(phones.length, 1);
  assert.deepEqual(lost, []);
  assert.ok(rollouts.every(({ verdict, episode }) => verdict === 'success' && episode.faults === undefined));
});

test('a film that never arrives is a device fault: the episode restarts on another device', async () => {
  const { rollouts, phones, films } = await run((film) => (film === 1 ? 'hangs' : 'well'));
  assert.equal(phones.length, 2);
  assert.deepEqual(films, ['film 1', 'film 1', 'film 2']);
  const [fault] = rollouts[1].episode.faults!;
  assert.equal(fault.call, 'stopRecording');
  assert.match(fault.reason, /no answer in 1000 ms/);
});
