'use strict';
/*
 * Runs when npm 7 to 11 install critiq as a package, before the install scripts of its dependencies. (npm 12 runs no install
 * scripts unless the user allows them, and needs none of this; docs/decisions/0005-npm-install.md.)
 *
 * On Linux x64, onnxruntime-node's install script downloads CUDA libraries of several hundred MB from NuGet, with or without
 * a GPU, and where NuGet is out of reach the whole installation fails. The CPU library is in the package itself. A guard at
 * the top of that script makes the download opt-in: set ONNXRUNTIME_NODE_INSTALL=cuda12 (docs/gpu.md).
 */
const { readFileSync, renameSync, writeFileSync } = require('node:fs');
const { basename, dirname, join } = require('node:path');

const GUARD = `// critiq's packaging/preinstall.cjs: download CUDA libraries only on request
if (process.argv.length < 3 && !Object.keys(process.env).some((key) => /^(npm_config_)?onnxruntime_node_install/i.test(key))) process.exit(0);
`;

const root = dirname(__dirname);
const modules = dirname(root);
// in a clone there is nothing to do: the lock file has no install scripts
if (basename(modules) === 'node_modules') {
  // below critiq in a global installation, beside it in a project
  for (const folder of [join(root, 'node_modules'), modules]) {
    const script = join(folder, 'onnxruntime-node', 'script', 'install.js');
    try {
      const text = readFileSync(script, 'utf8');
      if (!text.startsWith(GUARD)) {
        // a new file: some package managers link the files of their cache
        writeFileSync(`${script}.new`, GUARD + text);
        renameSync(`${script}.new`, script);
      }
      break;
    } catch {
      // not here, or not writable: the script runs as it is
    }
  }
}
