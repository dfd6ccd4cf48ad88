/** Processes that judge inputs. One that hangs, crashes or takes too much memory is ended, and its input is known. */
import { fork, type ChildProcess } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { MOST_CPU_S, MOST_MEMORY } from './kind.js';
import type { Verdict } from './input.js';
import type { Batch, BatchDone } from './worker.js';

const WORKER = fileURLToPath(new URL('./worker.js', import.meta.url));
/** Seconds without CPU or progress after which nothing more is expected, on however slow a machine. */
const MOST_WAIT_S = 120;
const LOOK_MS = 100;
/** Clock ticks in a second, as Linux counts CPU. */
const TICKS = 100;

export type NumberedVerdict = Verdict & { readonly n: number };

/** What a process has used: seconds of CPU, bytes of memory; undefined on systems that do not say. */
function used(pid: number): { cpu: number; memory: number } | undefined {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /, '')
      .split(' ');
    return { cpu: (Number(fields[11]) + Number(fields[12])) / TICKS, memory: Number(fields[21]) * 4096 };
  } catch {
    return undefined;
  }
}

/** One process at a time, which is replaced when it was ended. */
export class Judge {
  private child: ChildProcess | undefined;
  private said = '';
  private readonly status: string;

  /** @param mostCpuS seconds of CPU after which an input hangs */
  constructor(
    private readonly scratch: string,
    private readonly mostCpuS = MOST_CPU_S + 1,
  ) {
    mkdirSync(scratch, { recursive: true });
    this.status = join(scratch, 'status');
  }

  /** Judges a batch. Inputs that end the process have verdicts too. */
  async judge(batch: Batch & { readonly whole?: boolean }): Promise<{ verdicts: NumberedVerdict[]; memory: number }> {
    const verdicts: NumberedVerdict[] = [];
    let memory = 0;
    let again = true;
    for (let { from } = batch; from < batch.to || batch.whole;) {
      const outcome = await this.attempt({ ...batch, from });
      if ('verdicts' in outcome) {
        verdicts.push(...outcome.verdicts);
        memory = Math.max(memory, outcome.memory);
        break;
      }
      // those before it were fine, or will be judged again by the next process
      if (outcome.n < from) {
        // it ended before its first input, or after its last one
        if (!again) throw new Error(`${batch.kind}, inputs ${from} to ${batch.to}: ${outcome.said}`);
        again = false;
        continue;
      }
      if (outcome.n > from) verdicts.push(...(await this.judge({ ...batch, from, to: outcome.n })).verdicts);
      verdicts.push(outcome);
      from = outcome.n + 1;
    }
    return { verdicts, memory };
  }

  close(): void {
    this.child?.kill('SIGKILL');
    this.child = undefined;
  }

  private started(): ChildProcess {
    // it may have died after its last answer
    if (this.child?.connected && this.child.exitCode === null && this.child.signalCode === null) return this.child;
    this.close();
    this.said = '';
    // a number of the process before would be taken for that of this one
    writeFileSync(this.status, '');
    const child = fork(WORKER, [this.scratch, this.status], { stdio: ['ignore', 'ignore', 'pipe', 'ipc'] });
    child.stderr!.on('data', (piece: Buffer) => (this.said = (this.said + String(piece)).slice(-4000)));
    // a process that dies while it is sent something: 'exit' tells
    child.on('error', (error) => (this.said += `${error.message}\n`));
    this.child = child;
    return child;
  }

  private current(): number {
    try {
      const text = readFileSync(this.status, 'utf8').trim();
      return text === '' ? -1 : Number(text);
    } catch {
      return -1;
    }
  }

  /** @returns the batch's verdicts, or that of the input that ended the process */
  private async attempt(batch: Batch): Promise<BatchDone | NumberedVerdict> {
    const child = this.started();
    let done: BatchDone | { failed: string } | undefined;
    let exit: string | undefined;
    const ended = new Promise<void>((resolve) => {
      child.once('message', (message: typeof done) => {
        done = message;
        resolve();
      });
      child.once('exit', (code: number | null, signal: string | null) => {
        exit = signal ?? `exit code ${code}`;
        resolve();
      });
    });
    child.send(batch);
    let [last, cpuThen, since] = [-2, 0, performance.now()];
    let verdict: Pick<Verdict, 'outcome' | 'said' | 'cpu'> | undefined;
    while (!done && exit === undefined && !verdict) {
      const stop = new AbortController();
      await Promise.race([ended, sleep(LOOK_MS, undefined, { signal: stop.signal }).catch(() => undefined)]);
      stop.abort();
      if (done || exit !== undefined) break;
      const n = this.current();
      const now = used(child.pid!);
      if (n !== last) [last, cpuThen, since] = [n, now?.cpu ?? 0, performance.now()];
      const cpu = (now?.cpu ?? 0) - cpuThen;
      const waited = (performance.now() - since) / 1000;
      if (now && now.memory > MOST_MEMORY * 1.05)
        verdict = { outcome: 'memory', said: `${Math.round(now.memory / 2 ** 20)} MiB, and growing`, cpu };
      else if (n >= 0 && cpu > this.mostCpuS)
        verdict = { outcome: 'hang', said: `still at it after ${cpu.toFixed(1)} s of CPU`, cpu };
      else if (waited > MOST_WAIT_S)
        verdict = { outcome: 'hang', said: `no answer after ${Math.round(waited)} s`, cpu };
    }
    child.removeAllListeners('message').removeAllListeners('exit');
    if (done && 'verdicts' in done) return done;
    const n = this.current();
    this.close();
    if (done) return { n: -1, outcome: 'bad', said: done.failed, cpu: 0 };
    return {
      n,
      ...(verdict ?? {
        outcome: 'bad',
        said: `ended its process (${exit}): ${this.said.split('\n').slice(0, 6).join('\n')}`,
        cpu: 0,
      }),
    };
  }
}
