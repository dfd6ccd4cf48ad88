/**
 * node leash.js PROGRAM ARGUMENTS...: runs the program in its own process group, and ends the whole group when standard input
 * closes, that is, however the process at its other end ends. No other process is ever touched.
 */
import { spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';

/** Milliseconds that the group has to end by itself. */
const PATIENCE_MS = 5000;

const [program, ...args] = process.argv.slice(2);
const child = spawn(program, args, { stdio: ['ignore', 'inherit', 'inherit'], detached: true });
child.on('error', (error) => {
  console.error(`leash: ${program}: ${error.message}`);
  process.exit(1);
});
// signals of the terminal reach our own group; the end of our parent process closes our input
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => void end());

const group = (signal: NodeJS.Signals | 0): boolean => {
  try {
    return process.kill(-child.pid!, signal);
  } catch {
    return false;
  }
};

let ending = false;
async function end(): Promise<void> {
  if (ending) return;
  ending = true;
  group('SIGTERM');
  for (const until = performance.now() + PATIENCE_MS; group(0) && performance.now() < until;) await sleep(20);
  group('SIGKILL');
  process.exit(0);
}

process.stdin.on('end', () => void end()).on('error', () => void end());
process.stdin.resume();
// end what the program has left in its group
child.on('exit', () => void end());
