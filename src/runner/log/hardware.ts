import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import { join } from 'node:path';

/** What a command ran on. */
export interface Hardware {
  /** name of the processor, as the system tells it */
  readonly cpu: string;
  readonly cores: number;
  readonly memory_gb: number;
  /** names of the NVIDIA GPUs that the driver lists, used or not */
  readonly gpus: readonly string[];
}

const NVIDIA = '/proc/driver/nvidia/gpus';

export function hardware(): Hardware {
  const all = cpus();
  return {
    cpu: all[0]?.model.trim() ?? 'unknown',
    cores: all.length,
    memory_gb: Math.round(totalmem() / 1e8) / 10,
    gpus: gpus(),
  };
}

function gpus(): string[] {
  if (!existsSync(NVIDIA)) return [];
  try {
    return readdirSync(NVIDIA)
      .sort()
      .flatMap((name) => /^Model:\s*(.+)$/m.exec(readFileSync(join(NVIDIA, name, 'information'), 'utf8'))?.[1] ?? []);
  } catch {
    return []; // the driver is being reloaded, or does not tell
  }
}
