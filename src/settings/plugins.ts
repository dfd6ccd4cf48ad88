import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { isAbsolute, join, resolve } from 'node:path';
import { UserError } from '../errors.js';

/**
 * The absolute path of a plugin's module: a path relative to `folder` (`./x.js`, `../x.js`, or `x.js` if that file exists),
 * or an installed package, resolved from that folder.
 * @param source the origin of the setting, for messages
 * @throws UserError if there is neither
 */
export function resolvePlugin(name: string, folder: string, source: string): string {
  const path = resolve(folder, name);
  if (/^\.{1,2}\//.test(name) || isAbsolute(name)) {
    if (existsSync(path)) return path;
    throw new UserError(`${source}: plugins: ${name}: no such file in ${folder || '.'}`);
  }
  if (existsSync(path)) return path;
  try {
    return createRequire(join(folder, 'plugin.js')).resolve(name);
  } catch {
    throw new UserError(
      `${source}: plugins: ${name}: neither a file in ${folder} nor an installed package; write ./${name} for a file`,
    );
  }
}
