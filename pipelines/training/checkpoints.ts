import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { writeAtomic } from '../../src/data/store/atomic.js';
import { Parameters, type Trainer } from '../../src/graph/index.js';
import { UserError } from '../../src/errors.js';
import { readJsonObject } from '../../src/data/formats/json.js';

/** Content of a checkpoint: everything that training changes, by file name. */
export interface Checkpointed {
  readonly parameters: Readonly<Record<string, Parameters>>;
  /** the state of their optimizers */
  readonly trainers: Readonly<Record<string, Pick<Trainer<never>, 'save' | 'load'>>>;
}

/** Two alternating folders and a file that names the valid one, so that a kill while saving leaves the previous checkpoint. */
export class Checkpoints {
  private readonly pointer: string;

  constructor(
    private readonly folder: string,
    private readonly content: Checkpointed,
  ) {
    this.pointer = join(folder, 'checkpoint.json');
  }

  get exist(): boolean {
    return existsSync(this.pointer);
  }

  /** Restores the last checkpoint into parameters and optimizers. @returns its step and notes; undefined if there is none */
  async restore(): Promise<{ readonly step: number; readonly notes: unknown } | undefined> {
    if (!existsSync(this.pointer)) return undefined;
    const { step, place, notes } = readJsonObject(this.pointer, `delete ${this.folder} to train from the start`) as {
      step: number;
      place: string;
      notes?: unknown;
    };
    if (!Number.isInteger(step) || (place !== 'a' && place !== 'b'))
      throw new UserError(`${this.pointer}: damaged; delete ${this.folder} to train from the start`);
    const folder = join(this.folder, place);
    for (const [name, parameters] of Object.entries(this.content.parameters)) {
      parameters.copyFrom(Parameters.load(join(folder, `${name}.safetensors`)));
    }
    for (const [name, trainer] of Object.entries(this.content.trainers)) {
      await trainer.load(join(folder, `${name}.safetensors`));
    }
    return { step, notes };
  }

  /** @param notes whatever else is needed to resume, as JSON */
  async save(step: number, notes?: unknown): Promise<void> {
    const place = existsSync(this.pointer) && readFileSync(this.pointer, 'utf8').includes('"place":"a"') ? 'b' : 'a';
    const folder = join(this.folder, place);
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
    for (const [name, parameters] of Object.entries(this.content.parameters)) {
      await parameters.save(join(folder, `${name}.safetensors`));
    }
    for (const [name, trainer] of Object.entries(this.content.trainers)) {
      await trainer.save(join(folder, `${name}.safetensors`));
    }
    await writeAtomic(this.pointer, JSON.stringify({ step, place, notes }));
  }
}
