import { elementBytes, type Safetensors, type StoredTensor, type TensorInfo, type TensorSource } from './safetensors.js';
import { TorchTensor, product } from './torch-globals.js';
import { TorchFile, isContiguous } from './torch.js';

/** Keys of the model's state dict in saved training states; DigiRL's trainer.pt has `model_state_dict`. */
const WRAPPERS = ['model_state_dict', 'state_dict', 'model'];

/** The state dict of a `pytorch_model.bin`, or of a dict with a state dict under a common key. Nothing is executed. */
export class TorchStateDict implements TensorSource {
  private constructor(
    private readonly source: TorchFile,
    private readonly dict: ReadonlyMap<string, TorchTensor>,
    readonly tensors: ReadonlyMap<string, TensorInfo>,
  ) {}

  /** @throws UserError if the file is of another format, malicious or damaged, or has no tensors */
  static async open(file: string): Promise<TorchStateDict> {
    const source = await TorchFile.open(file);
    try {
      source.verify();
      const dict = stateDictOf(source.value());
      if (dict.size === 0) throw source.fault('expected a state dict (names and tensors), got no tensors');
      const bytes = [...dict.values()].reduce(
        (sum, { storage, shape }) => sum + product(shape) * elementBytes(storage.type),
        0,
      );
      // A tied model has its embedding table four times.
      if (bytes > 4 * source.size) {
        throw source.fault(`refused: its tensors expand to ${bytes} bytes, expected at most 4 times the file's ${source.size}`);
      }
      const infos = [...dict].map(([name, { storage, shape }]) => [name, { dtype: storage.type, shape }] as const);
      return new TorchStateDict(source, dict, new Map(infos));
    } catch (error) {
      source.close();
      throw error;
    }
  }

  get file(): string {
    return this.source.file;
  }

  get size(): number {
    return this.source.size;
  }

  blocks(name: string): Iterable<Uint8Array> {
    return this.source.blocks(this.dict.get(name)!);
  }

  /** CRC-32 of all parts of the file, from its zip directory: a fingerprint of the content. */
  checksums(): readonly number[] {
    return this.source.checksums();
  }

  /**
   * The selected tensors, as from `readSafetensors`. Tensors that share a storage (tied embeddings) share its bytes here
   * too.
   */
  read(only: (name: string) => boolean = () => true): Map<string, StoredTensor> {
    const tensors = new Map<string, StoredTensor>();
    const storages = new Map<number, Uint8Array>();
    let copied = 0;
    for (const [name, tensor] of this.dict) {
      if (!only(name)) continue;
      const { storage, shape, stride } = tensor;
      const whole = storages.get(storage.key) ?? this.source.storageBytes(storage);
      storages.set(storage.key, whole);
      if (!isContiguous(shape, stride)) copied += product(shape) * elementBytes(storage.type);
      if (copied > this.source.size) {
        throw this.source.fault(`refused: its transposed tensors expand to more than the file's ${this.source.size} bytes`);
      }
      tensors.set(name, { dtype: storage.type, shape, data: this.source.tensorBytes(tensor, whole) });
    }
    return tensors;
  }

  close(): void {
    this.source.close();
  }
}

function stateDictOf(top: unknown): Map<string, TorchTensor> {
  const wrapped = top instanceof Map ? WRAPPERS.map((key) => top.get(key) as unknown).find((v) => v instanceof Map) : undefined;
  const dict = wrapped ?? top;
  const tensors = new Map<string, TorchTensor>();
  for (const [name, tensor] of dict instanceof Map ? dict : []) {
    if (typeof name === 'string' && tensor instanceof TorchTensor) tensors.set(name, tensor);
  }
  return tensors;
}

/**
 * The tensors of a `pytorch_model.bin` or other state dict, as from `readSafetensors`; see TorchStateDict.
 * @param only selects tensors by name
 * @throws UserError if the file is of another format, malicious or damaged
 */
export async function readTorchStateDict(file: string, only?: (name: string) => boolean): Promise<Safetensors> {
  const source = await TorchStateDict.open(file);
  try {
    return { tensors: source.read(only), metadata: {} };
  } finally {
    source.close();
  }
}
