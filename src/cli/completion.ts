import { Argument, type Command } from 'commander';
import { print } from './command.js';
import type { Registry } from '../runner/registry.js';

const SHELLS = ['bash', 'zsh', 'fish'] as const;

/**
 * `critiq completion SHELL`: a script of our own for each shell, with all words in it, so that completing takes no second to
 * start Node. (@bomb.sh/tab starts it each time, needs bash-completion, and cannot complete words with =, such as seed=1.)
 */
export function addCompletionCommand(critiq: Command, registry: Registry): void {
  critiq
    .command('completion')
    .description('print a script for the shell that completes commands, options, settings, settings files and runs')
    .addArgument(new Argument('<shell>', 'the shell').choices(SHELLS))
    .addHelpText(
      'after',
      `
Example:
  $ critiq completion bash

To load it in every shell:
  bash, in ~/.bashrc               source <(critiq completion bash)
  zsh, in ~/.zshrc after compinit  source <(critiq completion zsh)
  fish, once                       critiq completion fish > ~/.config/fish/completions/critiq.fish`,
    )
    .action(async (shell: (typeof SHELLS)[number]) => {
      const { loadRegistry } = await import('../runner/registry.js');
      const { completionWords } = await import('./completion/words.js');
      const { schema } = await loadRegistry(registry);
      const words = completionWords(critiq, schema, registry.library);
      if (shell === 'bash') print((await import('./completion/bash.js')).bashScript(words).trimEnd());
      else if (shell === 'zsh') print((await import('./completion/zsh.js')).zshScript(words).trimEnd());
      else print((await import('./completion/fish.js')).fishScript(words).trimEnd());
    });
}
