/**
 * `node serve.js FILE` checks the shell command in FILE, which serves a page until Ctrl-C. It must print its address, answer
 * there, and end with exit code 130 on SIGINT.
 */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';

const LONGEST_MS = 60_000;

// its own process group, since a terminal's Ctrl-C goes to the whole group
const child = spawn('bash', ['-c', readFileSync(process.argv[2], 'utf8')], { detached: true });
const stop = (signal: NodeJS.Signals): void => {
  if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, signal);
};
process.on('exit', () => stop('SIGKILL'));
const timer = setTimeout(() => fail(`no end after ${LONGEST_MS / 1000} s`), LONGEST_MS);
let said = '';
let asked = false;
const read = (piece: Buffer): void => {
  said += String(piece);
  const url = /https?:\/\/(?:127\.0\.0\.1|localhost)\S*(?=\s)/.exec(said)?.[0];
  if (url === undefined || asked) return;
  asked = true;
  fetch(url).then(
    ({ status }) => (status === 200 ? stop('SIGINT') : fail(`${url} answered ${status}`)),
    (error: unknown) => fail(`${url}: ${String(error)}`),
  );
};
child.stdout.on('data', read);
child.stderr.on('data', read);
child.on('close', (code) => {
  clearTimeout(timer);
  if (asked && code === 130) process.exit(0);
  fail(asked ? `ended with ${code} on Ctrl-C, expected 130` : `ended with ${code} before it printed an address`);
});

function fail(why: string): never {
  process.stderr.write(`${said}\nserves: ${why}\n`);
  process.exit(1);
}
