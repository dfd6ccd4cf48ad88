import { execFileSync } from 'node:child_process';
import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';

/** Where a process runs. Only from the same place can its pid be looked up. */
export interface Place {
  readonly host: string;
  /**
   * what tells apart two machines, or two containers, with the same host name; empty where the system does not tell (outside
   * Linux)
   */
  readonly space: string;
}

/** Where this process runs. */
export function here(): Place {
  try {
    return { host: hostname(), space: `${bootId()} ${readlinkSync('/proc/self/ns/pid')}` };
  } catch {
    // no /proc: not Linux
    return { host: hostname(), space: '' };
  }
}

function bootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
}

/** Start time of a process (boot id and clock ticks on Linux, the text of `ps` elsewhere); undefined if it is dead. */
export function startOf(pid: number): string | undefined {
  if (process.platform === 'linux') {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
      // Field 2, the command, may contain spaces and brackets. After it come state (3) to starttime (22); see proc(5).
      const rest = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      if (rest[0] === 'Z' || rest[0] === 'X') return undefined;
      return `${bootId()} ${rest[19]}`;
    } catch {
      // there is no such process
      return undefined;
    }
  }
  try {
    return execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8' }).trim() || undefined;
  } catch {
    return undefined;
  }
}
