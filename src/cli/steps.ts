import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { complain, EXIT, STEP, stopped, type Interrupt } from './command.js';
import type { Summary } from '../runner/execute.js';

/** How a command ended. */
export interface Step {
  /** exit code; also of a command that was never started, because a signal came before */
  readonly code: number;
  /** what the stages did, if it ended well */
  readonly summaries: readonly Summary[];
}

/** Runs commands of this program in processes of their own. Signals go to all that run, which then come to rest. */
export class Steps {
  private readonly children = new Set<ChildProcess>();

  constructor(private readonly interrupt: Interrupt) {
    for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, this.forward);
  }

  /** Whether a signal has come: then no command is started any more. */
  get stopped(): boolean {
    return this.interrupt.code !== undefined;
  }

  /** Runs one command, which says itself on stderr what goes wrong. */
  async run(args: readonly string[]): Promise<Step> {
    if (this.interrupt.code !== undefined) return { code: this.interrupt.code, summaries: [] };
    // a session of its own: Ctrl-C of a terminal comes here and is passed on, once
    const child = fork(process.argv[1], args, {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      env: { ...process.env, [STEP]: '1' },
      detached: true,
    });
    this.children.add(child);
    let summaries: readonly Summary[] = [];
    child.on('message', (result) => (summaries = result as readonly Summary[]));
    const [code, killed] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null];
    this.children.delete(child);
    // by a signal only before it listens, or by force
    if (killed) complain(`${args[0]}: ${stopped(killed)}`);
    return { code: code ?? (killed === 'SIGINT' || killed === 'SIGTERM' ? EXIT[killed] : EXIT.failure), summaries };
  }

  close(): void {
    for (const name of ['SIGINT', 'SIGTERM'] as const) process.off(name, this.forward);
  }

  private readonly forward = (name: NodeJS.Signals): void => {
    if (this.children.size === 0) this.interrupt.code = name === 'SIGINT' ? EXIT.SIGINT : EXIT.SIGTERM;
    for (const child of this.children) child.kill(name);
  };
}
