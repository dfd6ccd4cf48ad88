/** A config.json cannot ask for more than a machine has. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { readAutoUIConfig } from '../../../src/models/autoui/config.js';
import { readRobertaConfig } from '../../../src/models/roberta/roberta.js';
import { emptyFolder } from '../../rigs/process.js';

test('numbers of layers and widths are bounded before anything is allocated', (t) => {
  const folder = emptyFolder(t);
  const write = (config: object) => writeFileSync(join(folder, 'config.json'), JSON.stringify(config));
  const roberta = {
    vocab_size: 10,
    hidden_size: 8,
    num_hidden_layers: 2,
    num_attention_heads: 2,
    intermediate_size: 8,
    max_position_embeddings: 10,
  };
  write(roberta);
  assert.equal(readRobertaConfig(folder).num_hidden_layers, 2);
  write({ ...roberta, num_hidden_layers: 2 ** 31 });
  assert.throws(() => readRobertaConfig(folder), /config\.json: num_hidden_layers: more than 1000 layers; expected/);
  write({ ...roberta, vocab_size: 2 ** 40 });
  assert.throws(() => readRobertaConfig(folder), /config\.json: vocab_size: more than 16777216; expected/);
  const t5 = { model_type: 't5', vocab_size: 10, d_model: 8, d_ff: 8, num_layers: 2 ** 31, num_heads: 2 };
  write(t5);
  assert.throws(() => readAutoUIConfig(folder), /config\.json: num_layers: more than 1000 layers; expected/);
});
