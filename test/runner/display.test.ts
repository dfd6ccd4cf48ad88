/** Progress: one line with rate and time left on a terminal, plain lines every few seconds elsewhere. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Display, duration } from '../../src/runner/display.js';

function fake(isTTY: boolean) {
  let text = '';
  const clock = { ms: 0 };
  const out = { isTTY, columns: 60, write: (piece: string) => (text += piece) };
  return { out, clock, now: () => clock.ms, take: () => [text, (text = '')][0] };
}

test('without a terminal: plain lines, at most one in five seconds', () => {
  const { out, clock, now, take } = fake(false);
  const display = new Display('normal', out, now);
  const progress = display.progress(100, 'critic: steps', 20);
  for (let n = 0; n < 40; n++) {
    clock.ms += 500;
    progress.advance();
  }
  // the 20 steps of an earlier run do not count for the rate
  assert.deepEqual(take().trim().split('\n'), [
    'critic: steps 30/100 30% 2.0/s 35s left',
    'critic: steps 40/100 40% 2.0/s 30s left',
    'critic: steps 50/100 50% 2.0/s 25s left',
    'critic: steps 60/100 60% 2.0/s 20s left',
  ]);
});

test('parallel counts share a line, which names their stage once', () => {
  const { out, clock, now, take } = fake(false);
  const display = new Display('normal', out, now);
  display.progress(2, 'eval/base-test: shards');
  const episodes = display.progress(4, 'eval/base-test: episodes of shard 00000');
  display.progress(9, 'critic: training steps');
  clock.ms = 5000;
  episodes.advance();
  assert.equal(
    take(),
    'eval/base-test: shards 0/2 0% | episodes of shard 00000 1/4 25% 0.20/s 15s left | critic: training steps 0/9 0%\n',
  );
});

test('on a terminal: one line, redrawn in place, cleared for log lines and at the end', () => {
  const { out, clock, now, take } = fake(true);
  const display = new Display('normal', out, now);
  const progress = display.progress(4, 'x');
  clock.ms = 1000;
  progress.advance();
  assert.equal(take(), '\r\x1b[2Kx [#####...............] 1/4 25% 1.0/s 3s left');
  display.info('hello');
  assert.equal(take(), '\r\x1b[2Khello\n');
  clock.ms = 2000;
  progress.advance();
  take();
  progress.advance(2);
  assert.equal(take(), '\r\x1b[2K', 'cleared when complete');
});

test('quiet prints warnings only', () => {
  const { out, now, take, clock } = fake(false);
  const display = new Display('quiet', out, now);
  const progress = display.progress(10, 'x');
  clock.ms = 60_000;
  progress.advance();
  display.info('i');
  display.debug('d');
  display.warn('w');
  assert.equal(take(), 'warning: w\n');
});

test('durations', () => {
  assert.deepEqual([0.4, 59.4, 187, 7509].map(duration), ['0s', '59s', '3:07', '2:05:09']);
});

test('a note is shown after the count until it is cleared', () => {
  const { out, clock, now, take } = fake(false);
  const progress = new Display('normal', out, now).progress(4, 'x');
  const line = () => {
    clock.ms += 5000;
    progress.advance();
    return take();
  };
  progress.note('2 of 8 devices out of order');
  assert.equal(line(), 'x 1/4 25% 0.20/s 15s left (2 of 8 devices out of order)\n');
  progress.note('');
  assert.equal(line(), 'x 2/4 50% 0.20/s 10s left\n');
});
