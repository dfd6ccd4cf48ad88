/** The help of every command has an example that the command takes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { everyCommand, helpOf, mistakeIn, simpleCommands } from '../rigs/docs/commands.js';

for (const { name, command } of everyCommand()) {
  test(`critiq ${name} --help`, async () => {
    const help = helpOf(name);
    const examples = [...help.matchAll(/^\s*\$ (critiq .*)$/gm)].map(([, example]) => example);
    assert.ok(examples.length > 0, `no example:\n${help}`);
    for (const example of examples) {
      const [words] = simpleCommands(example);
      assert.equal(await mistakeIn(words), undefined, example);
      // a group's example is one of its commands
      const own = command.commands.length === 0 || command.registeredArguments.length > 0;
      const begins = ['critiq', ...name.split(' ').filter((word) => word !== '')];
      if (own) assert.deepEqual(words.slice(0, begins.length), begins, example);
    }
  });
}

test('an example with a wrong option, setting, command or value is found', async () => {
  for (const [line, mistake] of [
    ['critiq eval --fast', /unknown option '--fast'/],
    ['critiq eval eval.epsiodes=3', /unknown setting eval\.epsiodes/],
    ['critiq evaluate', /evaluate|names no command|too many/],
    ['critiq checkpoint convert in', /missing required argument/],
    ['critiq critic critic.lr=fast', /expected number/],
    ['make demo ARGS=1 colect', /the Makefile has no colect/],
    ['make critic ARGS="critic.lr=fast"', /expected number/],
    ['npm run sites', /no script sites/],
    ['srun critiq eval seed=$SEED sede=$SEED', /unknown setting sede/],
  ] as const) {
    assert.match((await mistakeIn(simpleCommands(line)[0])) ?? 'fine', mistake, line);
  }
  for (const line of ['critiq eval --config x.yaml seed=1 --json', 'make critic ARGS="critic.lr=1e-4 run=x"']) {
    assert.equal(await mistakeIn(simpleCommands(line)[0]), undefined, line);
  }
});
