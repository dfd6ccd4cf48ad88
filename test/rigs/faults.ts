/**
 * A file system that fails at a chosen moment, by replacing Node's functions, so that the product needs no hooks. Import it
 * before what it is to break; it only touches paths below one folder.
 */
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { resolve, sep } from 'node:path';

/** What goes wrong: a full disk, a broken one, one that becomes read-only, too many open files, writes that end early. */
export type FaultKind = 'ENOSPC' | 'EIO' | 'EROFS' | 'EMFILE' | 'short';

export interface Fault {
  readonly kind: FaultKind;
  /** operations that it could meet before it does, from 0 */
  readonly after: number;
  /** only paths below it */
  readonly folder: string;
}

/** Kinds of operations. */
type Operation = 'open' | 'create' | 'read' | 'write' | 'sync' | 'change' | 'remove' | 'list';

const MEETS: Readonly<Record<FaultKind, readonly Operation[]>> = {
  // removing and renaming need no space
  ENOSPC: ['create', 'write', 'sync'],
  EIO: ['open', 'create', 'read', 'write', 'sync', 'list'],
  EROFS: ['create', 'write', 'change', 'remove'],
  EMFILE: ['open', 'create', 'list'],
  short: ['write'],
};
/** Those that stay; the others pass. */
const STAYS: ReadonlySet<FaultKind> = new Set(['ENOSPC', 'EROFS', 'short']);
const WORDS: Readonly<Record<string, string>> = {
  ENOSPC: 'no space left on device',
  EIO: 'i/o error',
  EROFS: 'read-only file system',
  EMFILE: 'too many open files',
};

let fault: Fault | undefined;
let left = 0;
let met = 0;

/** Operations that the last fault could have met, with those that failed. */
export function counted(): { operations: number; failed: number } {
  return { operations: (fault?.after ?? 0) - left + met, failed: met };
}

/** Runs work on a failing file system. @returns how many operations failed */
export async function faulty<T>(
  planned: Fault,
  work: () => Promise<T>,
): Promise<{ result: T; failed: number; operations: number }> {
  fault = { ...planned, folder: resolve(planned.folder) };
  left = planned.after;
  met = 0;
  try {
    const result = await work();
    return { result, ...counted() };
  } finally {
    fault = undefined;
  }
}

/** Whether this operation is one that the fault meets now. */
function meets(operation: Operation, path: unknown): boolean {
  if (!fault || !MEETS[fault.kind].includes(operation)) return false;
  if (typeof path !== 'string' && !(path instanceof URL) && !Buffer.isBuffer(path)) return false;
  const at = resolve(String(path));
  if (at !== fault.folder && !at.startsWith(fault.folder + sep)) return false;
  if (left > 0) {
    left -= 1;
    return false;
  }
  if (met > 0 && !STAYS.has(fault.kind)) return false;
  met += 1;
  return true;
}

function check(operation: Operation, syscall: string, path: unknown): void {
  if (fault?.kind === 'short' || !meets(operation, path)) return;
  const { kind } = fault!;
  // as Node's own: calls on open files do not name the file
  const named = syscall === 'write' || syscall === 'fsync' || syscall === 'read' ? undefined : String(path);
  const message = `${kind}: ${WORDS[kind]}, ${syscall}${named === undefined ? '' : ` '${named}'`}`;
  throw Object.assign(new Error(message), {
    code: kind,
    errno: -1,
    syscall,
    ...(named === undefined ? {} : { path: named }),
  });
}

const shortened = (path: unknown, length: number): number =>
  fault?.kind === 'short' && length > 1 && meets('write', path) ? Math.ceil(length / 2) : length;

const writes = (flags: unknown): boolean =>
  typeof flags === 'number'
    ? (flags & (fs.constants.O_WRONLY | fs.constants.O_RDWR)) !== 0
    : flags !== undefined && flags !== 'r';

type Functions = Record<string, (...args: never[]) => unknown>;
const [sync, promises] = [fs as unknown as Functions, fs.promises as unknown as Functions];
/** paths of open files */
const paths = new Map<number, string>();

function replace(where: Functions, name: string, before: (...args: unknown[]) => void): void {
  const own = where[name];
  where[name] = (...args: unknown[]) => {
    if (where === promises) {
      try {
        before(...args);
      } catch (error) {
        return Promise.reject(error as Error);
      }
    } else before(...args);
    return own(...(args as never[]));
  };
}

for (const [names, operation, syscall] of [
  [['mkdir'], 'create', 'mkdir'],
  [['readdir'], 'list', 'scandir'],
  [['rename', 'link', 'utimes'], 'change', 'rename'],
  [['rm', 'unlink', 'rmdir'], 'remove', 'unlink'],
  [['readFile'], 'open', 'open'],
  [['writeFile', 'appendFile'], 'create', 'open'],
] as const)
  for (const name of names) {
    if (`${name}Sync` in sync) replace(sync, `${name}Sync`, (path) => check(operation, syscall, path));
    if (name in promises) replace(promises, name, (path) => check(operation, syscall, path));
  }
for (const name of ['copyFile', 'cp', 'link', 'rename'])
  for (const [where, full] of [
    [sync, `${name}Sync`],
    [promises, name],
  ] as const)
    if (full in where)
      replace(where, full, (_, to) => check(name === 'rename' ? 'change' : 'create', name.toLowerCase(), to));

const openSync = fs.openSync;
fs.openSync = ((path: fs.PathLike, flags?: fs.OpenMode, mode?: fs.Mode) => {
  check(writes(flags) ? 'create' : 'open', 'open', path);
  const fd = openSync(path, flags ?? 'r', mode);
  paths.set(fd, String(path));
  return fd;
}) as typeof fs.openSync;
replace(sync, 'readSync', (fd) => check('read', 'read', paths.get(fd as number)));
replace(sync, 'fsyncSync', (fd) => check('sync', 'fsync', paths.get(fd as number)));
const writeSync = fs.writeSync as (fd: number, data: unknown, ...rest: unknown[]) => number;
fs.writeSync = ((fd: number, data: unknown, ...rest: unknown[]) => {
  const path = paths.get(fd);
  check('write', 'write', path);
  const bytes = typeof data === 'string' ? Buffer.from(data) : (data as Uint8Array);
  if (typeof data === 'string')
    return writeSync(fd, bytes, 0, shortened(path, bytes.length), (rest[0] as number | null) ?? null);
  const [offset = 0, length = bytes.length - Number(offset), position = null] = rest as (number | null | undefined)[];
  return writeSync(fd, bytes, offset, shortened(path, length!), position);
}) as typeof fs.writeSync;

const open = fs.promises.open;
fs.promises.open = (async (path: fs.PathLike, flags?: string | number, mode?: fs.Mode) => {
  check(writes(flags) ? 'create' : 'open', 'open', path);
  const handle = await open(path, flags, mode);
  const methods = handle as unknown as Functions;
  for (const [name, operation, syscall] of [
    ['sync', 'sync', 'fsync'],
    ['read', 'read', 'read'],
    ['appendFile', 'write', 'write'],
    ['writeFile', 'write', 'write'],
    ['truncate', 'write', 'ftruncate'],
  ] as const) {
    const own = methods[name].bind(handle);
    // what a full disk leaves of a line
    const torn = name === 'appendFile' || name === 'writeFile';
    methods[name] = async (...args: never[]) => {
      try {
        check(operation, syscall, path);
      } catch (error) {
        const [data] = args as unknown as [string | Uint8Array];
        if (torn && (error as NodeJS.ErrnoException).code === 'ENOSPC')
          await own(...([data.slice(0, data.length >> 1)] as never[]));
        throw error;
      }
      // waiting for the disk is of no use here: the machine does not lose power
      return name === 'sync' ? undefined : own(...args);
    };
  }
  const write = handle.write.bind(handle) as (...args: unknown[]) => Promise<unknown>;
  (handle as unknown as { write: unknown }).write = async (
    data: Uint8Array,
    offset = 0,
    length = data.length - offset,
    position: number | null = null,
  ) => {
    check('write', 'write', path);
    return write(data, offset, shortened(path, length), position);
  };
  return handle;
}) as typeof fs.promises.open;
syncBuiltinESMExports();
