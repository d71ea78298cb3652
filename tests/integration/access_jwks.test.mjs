// Tokens of an identity provider: public keys from a file or an address, rotation, and what must not confuse them.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { sluice, startGateway } from '../support/gateway.mjs';
import { startRedis } from '../support/redis.mjs';
import { bearer, claims, makePair, makeToken } from '../support/tokens.mjs';
import { until } from '../support/wait.mjs';

const ALGORITHMS = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA'];

/** One pair for each kind of key; RSA serves six algorithms. */
function makePairs() {
  const rsa = makePair('RS256');
  return Object.fromEntries(ALGORITHMS.map((algorithm) => [algorithm, /^[RP]S/.test(algorithm) ? rsa : makePair(algorithm)]));
}

const admin = (algorithm, pair, header) =>
  bearer(makeToken(claims({ admin: true }), { algorithm, key: pair.privateKey, header }));

describe('public keys', () => {
  const pairs = makePairs();
  let folder, redis;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'sluice-jwks-'));
    redis = await startRedis();
  });
  after(async () => {
    await redis?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  async function withFile(name, text, use) {
    const file = join(folder, name);
    await writeFile(file, text);
    const gateway = await startGateway({ redis, environment: { SLUICE_JWT_KEY_FILE: file } });
    try {
      await use(gateway);
    } finally {
      await gateway.stop();
    }
  }

  const status = async (gateway, headers) => (await gateway.get('/metrics', headers)).status;

  test('each algorithm, from PEM', async () => {
    const pem = [...new Set(Object.values(pairs).map((pair) => pair.pem))].join('\n');
    await withFile('keys.pem', pem, async (gateway) => {
      for (const [algorithm, pair] of Object.entries(pairs)) {
        assert.equal(await status(gateway, admin(algorithm, pair)), 200, algorithm);
        assert.equal(await status(gateway, admin(algorithm, makePair(algorithm))), 401, `${algorithm} by another key`);
      }
    });
  });

  test('a public key is no secret: RS256 cannot be taken for HS256', async () => {
    await withFile('rsa.pem', pairs.RS256.pem, async (gateway) => {
      const der = pairs.RS256.publicKey.export({ type: 'spki', format: 'der' });
      for (const key of [pairs.RS256.pem, pairs.RS256.pem.trim(), der, JSON.stringify(pairs.RS256.jwk), ''])
        for (const algorithm of ['HS256', 'HS384', 'HS512']) {
          const forged = makeToken(claims({ admin: true }), { algorithm, key });
          assert.equal(await status(gateway, bearer(forged)), 401, `${algorithm} with ${String(key).slice(0, 30)}`);
        }
      assert.equal(await status(gateway, admin('RS256', pairs.RS256)), 200);
      assert.equal(await status(gateway, admin('ES256', pairs.ES256)), 401, 'no key of that kind');
    });
  });

  test('from a JWKS: kid chooses, alg binds', async () => {
    const keys = [
      { ...pairs.RS256.jwk, kid: 'rsa', alg: 'RS256', use: 'sig' },
      { ...pairs.ES256.jwk, kid: 'ec' },
      { ...pairs.EdDSA.jwk, kid: 'encrypts', use: 'enc' },
      { kty: 'unheard-of', kid: 'x' },
    ];
    await withFile('jwks.json', JSON.stringify({ keys }), async (gateway) => {
      assert.equal(await status(gateway, admin('RS256', pairs.RS256, { kid: 'rsa' })), 200);
      assert.equal(await status(gateway, admin('RS256', pairs.RS256)), 200, 'without a kid every key is tried');
      assert.equal(await status(gateway, admin('PS256', pairs.PS256, { kid: 'rsa' })), 401, 'the key says RS256');
      assert.equal(await status(gateway, admin('RS512', pairs.RS512, { kid: 'rsa' })), 401);
      assert.equal(await status(gateway, admin('ES256', pairs.ES256, { kid: 'ec' })), 200);
      assert.equal(await status(gateway, admin('ES256', pairs.ES256, { kid: 'rsa' })), 401);
      for (const kid of ['EC', 'ec\u0000', '../ec', 'file:///dev/null', 'ec?x', ''])
        assert.equal(await status(gateway, admin('ES256', pairs.ES256, { kid })), 401, JSON.stringify(kid));
      assert.equal(await status(gateway, admin('EdDSA', pairs.EdDSA, { kid: 'encrypts' })), 401);
      const own = makePair('ES256');
      assert.equal(await status(gateway, admin('ES256', own, { kid: 'ec', jwk: own.jwk, jku: 'http://127.0.0.1:1/' })), 401);
    });
  });

  test('what is no key stops the start', async () => {
    const weak = await import('node:crypto').then(({ generateKeyPairSync }) => generateKeyPairSync('rsa', { modulusLength: 1024 }));
    for (const [name, text, problem] of [
      ['private.pem', pairs.ES256.privateKey.export({ type: 'pkcs8', format: 'pem' }), /private key/],
      ['weak.pem', weak.publicKey.export({ type: 'spki', format: 'pem' }), /2048 bits/],
      ['empty', '', /not a JSON object/],
      ['none.json', '{"keys":[]}', /no public key/],
    ]) {
      const file = join(folder, name);
      await writeFile(file, text);
      const check = await sluice(['serve', '--check'], { environment: { SLUICE_JWT_KEY_FILE: file } });
      assert.equal(check.code, 2, name);
      assert.match(check.output, problem, name);
    }
  });

  test('from an address: fetched, rotated, and not asked for more than is good', async (t) => {
    let keys = [{ ...pairs.ES256.jwk, kid: 'one' }];
    let fetches = 0, isDown = false;
    const server = http.createServer((request, response) => {
      fetches++;
      if (isDown) return response.writeHead(500).end();
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ keys }));
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const gateway = await startGateway({
      redis,
      environment: {
        SLUICE_JWT_JWKS_URL: `http://127.0.0.1:${server.address().port}/jwks.json`,
        SLUICE_JWT_ISSUER: 'https://id.example',
        SLUICE_JWT_AUDIENCE: 'sluice,live',
      },
    });
    t.after(async () => {
      await gateway.stop();
      server.close();
    });
    const token = (algorithm, pair, header, more) =>
      bearer(makeToken(claims({ admin: true }, { iss: 'https://id.example', aud: ['live', 'other'], ...more }), {
        algorithm, key: pair.privateKey, header,
      }));
    await until('the keys are there', async () => (await status(gateway, token('ES256', pairs.ES256, { kid: 'one' }))) === 200);
    assert.equal(fetches, 1, 'once, however many threads there are');
    for (const wrong of [{ iss: 'https://evil.example' }, { iss: undefined }, { aud: 'other' }, { aud: undefined }, { aud: [] }])
      assert.equal(await status(gateway, token('ES256', pairs.ES256, { kid: 'one' }, wrong)), 401, JSON.stringify(wrong));

    // The provider rotates: many come with the new key at once, and are known after one fetch.
    keys = [{ ...pairs.ES256.jwk, kid: 'one' }, { ...pairs.RS256.jwk, kid: 'two' }, { kty: 'oct', kid: 'secret', k: 'c2VjcmV0' }];
    const unknown = token('RS256', pairs.RS256, { kid: 'two' });
    await until('the next fetch is allowed', async () => (await status(gateway, unknown)) === 200, 15000);
    const before = fetches;
    for (let i = 0; i < 50; i++)
      assert.equal(await status(gateway, token('RS256', pairs.RS256, { kid: `nobody-${i}` })), 401);
    assert.ok(fetches - before <= 1, `${fetches - before} fetches for 50 unknown keys`);
    const shared = makeToken(claims({ admin: true }, { iss: 'https://id.example', aud: 'live' }), { key: 'secret', header: { kid: 'secret' } });
    assert.equal(await status(gateway, bearer(shared)), 401, 'a secret that anybody can fetch is none');

    isDown = true;
    assert.equal(await status(gateway, token('ES256', pairs.ES256, { kid: 'one' })), 200, 'what is known stays');
    const { text } = await gateway.get('/metrics', token('ES256', pairs.ES256, { kid: 'one' }));
    assert.match(text, new RegExp(`^sluice_jwks_fetches_total ${fetches}$`, 'm'), 'what was fetched, not who wanted it');
  });

  test('when the gateway ends, who waits for keys is answered', async (t) => {
    let fetches = 0;
    const server = http.createServer(() => fetches++); // never answers
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const gateway = await startGateway({ redis, environment: { SLUICE_JWT_JWKS_URL: `http://127.0.0.1:${server.address().port}/` } });
    t.after(async () => {
      await gateway.stop();
      server.closeAllConnections();
      server.close();
    });
    const headers = admin('ES256', pairs.ES256, { kid: 'one' });
    const requests = Array.from({ length: 12 }, () => http.get(`${gateway.origin}/metrics`, { agent: false, headers }));
    const answers = requests.map(async (request) => (await once(request, 'response'))[0].resume().statusCode);
    await Promise.all(requests.map(async (request) => once((await once(request, 'socket'))[0], 'connect')));
    await until('the fetch', () => fetches > 0);
    await gateway.stop();
    assert.deepEqual(new Set(await Promise.all(answers)), new Set([503]));
    assert.equal(fetches, 1);
  });
});
