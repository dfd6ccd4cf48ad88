import type { ShellIo } from './adbd.js';

/** Package of the server that UiAutomator2's instrumentation starts. */
export const SERVER_PACKAGE = 'io.appium.uiautomator2.server';

interface Running {
  readonly name: string;
  readonly io: ShellIo;
  readonly onEnd: () => void;
}

/** The running processes that were started through a device's shell. */
export class Processes {
  private readonly running = new Map<number, Running>();
  private next = 1000;

  /** @returns the process id */
  start(name: string, io: ShellIo, onEnd: () => void = () => undefined): number {
    const pid = this.next++;
    this.running.set(pid, { name, io, onEnd });
    return pid;
  }

  /** Ends a process. @returns whether it existed */
  end(pid: number, code = 0): boolean {
    const found = this.running.get(pid);
    if (!found) return false;
    this.running.delete(pid);
    found.onEnd();
    found.io.exit(code);
    return true;
  }

  endNamed(name: string): void {
    for (const [pid, process] of [...this.running]) if (process.name === name) this.end(pid);
  }

  endAll(): void {
    for (const pid of [...this.running.keys()]) this.end(pid, 137);
  }

  named(name: string): number[] {
    return [...this.running].filter(([, process]) => process.name === name).map(([pid]) => pid);
  }

  /** Whether the UiAutomator2 server runs. */
  get instrumented(): boolean {
    return this.named(SERVER_PACKAGE).length > 0;
  }

  /** The output of `ps -A` in Android's toybox. */
  get list(): string {
    const row = (pid: number, name: string) =>
      `shell ${String(pid).padStart(10)} 1 1000000 50000 0 0 S ${name}`.replace(
        'shell',
        name === 'init' ? 'root ' : 'shell',
      );
    return [
      'USER           PID PPID VSZ RSS WCHAN ADDR S NAME',
      row(1, 'init'),
      row(500, 'critiq.phone'),
      ...[...this.running].map(([pid, { name }]) => row(pid, name)),
      '',
    ].join('\n');
  }
}
