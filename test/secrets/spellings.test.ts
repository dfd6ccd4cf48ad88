/** Keys are taken out of texts however they are spelled there, and nothing else is. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { discreet, keepSecret, namesSecret, withoutKeys } from '../../src/secrets/known.js';
import { Random } from '../../src/random.js';
import { ENCODINGS, spellingsOf } from '../rigs/canary/encodings.js';

const KEY = 'cnr/Y-4711_"q+Ä=Zz\\9&%7%41';
keepSecret(KEY);

for (const [name, encode] of Object.entries(ENCODINGS)) {
  test(`a key is found in ${name}, at any place, and what stands around it stays`, () => {
    const random = new Random(1, name);
    for (let n = 0; n < 40; n++) {
      const before = 'the server says: x='.slice(0, random.int(20));
      const after = random.int(2) === 0 ? '' : ' and that is all';
      // in base64 the words around the key are encoded with it
      const text = name.startsWith('base64') ? encode(`${before}${KEY}${after}`) : `${before}${encode(KEY)}${after}`;
      const clean = withoutKeys(`<< ${text} >>`);
      for (const spelled of spellingsOf(KEY)) assert.ok(!clean.includes(spelled), `${clean} has ${spelled}`);
      assert.match(clean, /^<< .*\*\*\*.* >>$/s);
      if (!name.startsWith('base64')) assert.equal(clean, `<< ${before}***${after} >>`);
    }
  });
}

test('encodings around each other are undone', () => {
  const { percent, json, entities } = ENCODINGS;
  for (const text of [
    JSON.stringify({ error: JSON.stringify({ message: `bad key ${KEY}` }) }),
    `https://login.example/?next=${percent(`https://other.example/?q=${percent(KEY)}`)}`,
    percent(json(KEY)),
    entities(percent(KEY)),
    json(entities(KEY)).replaceAll('\\', '\\\\'),
    percent(Buffer.from(`me:${KEY}`).toString('base64')),
    `${Buffer.from(`hello ${KEY} hello`).toString('base64').replace(/.{16}/g, '$&\r\n')}`,
  ]) {
    const clean = withoutKeys(text);
    assert.match(clean, /\*\*\*/, text);
    for (const spelled of spellingsOf(KEY)) assert.ok(!clean.includes(spelled), clean);
  }
});

test('JSON stays JSON, and only the key is gone', () => {
  for (const encode of [ENCODINGS.json, ENCODINGS.php, (text: string) => JSON.stringify(text).slice(1, -1)]) {
    const clean = withoutKeys(`{"a": "x ${encode(KEY)} y", "b": [1, "\\u0041\\n"]}`);
    assert.deepEqual(JSON.parse(clean), { a: 'x *** y', b: [1, 'A\n'] });
  }
});

test('a key that was cut off is known by its first characters, also where an escape was cut', () => {
  assert.equal(withoutKeys('"answered cnr/Y-47…"'), '"answered ***…"');
  assert.equal(withoutKeys('answered cnr%2FY-4711%5…'), 'answered ***…');
  assert.equal(withoutKeys('answered cnr\\/Y-4711\\u00…'), 'answered ***…');
  assert.equal(withoutKeys(`answered ${ENCODINGS.entities(KEY.slice(0, 8))}&#4…`), 'answered ***…');
  assert.equal(withoutKeys('answered cnr/…'), 'answered cnr/…');
});

test('placeholders and short words are no keys', () => {
  const text = 'the latest ollama news: 0123 EMPTY lm-studio x test none password xxxxxxxxxxxx, 12345678901';
  for (const none of ['0', '123', 'test', 'x', 'none', 'EMPTY', 'ollama', 'lm-studio', 'password', 'xxxxxxxxxxxx', ''])
    keepSecret(none);
  keepSecret(undefined);
  assert.equal(withoutKeys(text), text);
});

test('a short password is taken out as a word of its own, and of no other word', () => {
  keepSecret('hunt3r');
  assert.equal(withoutKeys('me:hunt3r@host, "hunt3r", hunt3rs, xhunt3r'), 'me:***@host, "***", hunt3rs, xhunt3r');
});

test('texts without keys stay as they are, and hostile ones take no time', () => {
  const random = new Random(3, 'texts');
  const alphabet = ['\\', '%', '&', '#', 'u', '4', '1', ';', 'x', 'amp', '…', ' ', '"', 'ü', '{', '}', '\n', '😀'];
  for (let n = 0; n < 2000; n++) {
    const text = Array.from({ length: random.int(60) }, () => alphabet[random.int(alphabet.length)]).join('');
    assert.equal(withoutKeys(text), text);
  }
  const began = process.cpuUsage();
  for (const piece of ['\\', '%25', '&amp;', '…', 'cnr/Y-', '\\ud83d', '&#0', 'bearer ', '?a&', 'a://'])
    discreet(piece.repeat((64 << 10) / piece.length));
  const { user } = process.cpuUsage(began);
  assert.ok(user < 8e6, `${user} µs`);
});

test('messages show no logins of addresses, no keys in their queries, and nothing that looks like a key', () => {
  const key = `sk-${'a1'.repeat(12)}`;
  assert.equal(discreet('http://me:pw@host:80/v1?key=abc&n=2&access_token=d'), 'http://***@host:80/v1?key=***&n=2&access_token=***'); // prettier-ignore
  assert.equal(discreet(`got "${key}"`), 'got "***"');
  assert.equal(discreet('Authorization: Basic bWU6cHc0NzEx'), 'Authorization: Basic ***');
  for (const plain of ['a token: its weight', 'the bearer of news', 'https://host/a@b?n=1'])
    assert.equal(discreet(plain), plain);
});

test('names of secrets', () => {
  for (const name of ['judge.api_key', 'accessKey', 'bstack:options.accessKey', 'X-Amz-Signature', 'access_token'])
    assert.ok(namesSecret(name), name);
  for (const name of ['judge.api_key_env', 'critic.text_tokens', 'keyboard', 'policy.tokenizer'])
    assert.ok(!namesSecret(name), name);
});
