/** The commands that a reader needs beside the settings file, for results with settings of their own. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { commandsMarkup, ownCommands } from '../../src/report/commands.js';

test('a command for each result whose settings are not those of the file', () => {
  const settings = { seed: 0, critic: { lr: 1e-4, drop: [] }, actor: { method: 'digiq', name: '', n: 16 } };
  const commands = ownCommands(
    [
      { dataset: 'critic', stage: 'critic', settings: { critic: { lr: 1e-4, drop: [] }, seed: 0, 'models.gone': 1 } },
      {
        dataset: 'policy/wide',
        stage: 'actor',
        settings: { actor: { method: 'digiq', name: 'wide one', n: 32 }, seed: 0 },
      },
      {
        dataset: 'policy/x',
        stage: 'actor',
        settings: { actor: { method: undefined, n: 16 }, 'critic.drop': ['goal'] },
      },
    ],
    settings,
    'exp7.yaml',
  );
  assert.deepEqual(commands, [
    "critiq actor --config exp7.yaml 'actor.name=wide one' actor.n=32",
    `critiq actor --config exp7.yaml 'critic.drop=["goal"]'`,
  ]);
  assert.match(commandsMarkup(commands).text, /<details class="settings" id="commands">.*<li><code>critiq actor/s);
  assert.equal(commandsMarkup([]).text, '');
});
