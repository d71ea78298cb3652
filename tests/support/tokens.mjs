// JSON Web Tokens as callers and attackers make them, by Node's own cryptography.

import { createHmac, generateKeyPairSync, sign as signBytes, constants } from 'node:crypto';

export const SECRET = 'a secret that is long enough for anybody to trust';

const base64url = (value) => Buffer.from(value).toString('base64url');
const part = (value) => base64url(typeof value === 'string' || Buffer.isBuffer(value) ? value : JSON.stringify(value));

const HASHES = { 256: 'sha256', 384: 'sha384', 512: 'sha512' };

/** The signature of `text` as `algorithm` wants it; `key` is a secret, or a KeyObject. */
function signature(algorithm, text, key) {
  const hash = HASHES[algorithm.slice(2)];
  const bytes = Buffer.from(text);
  switch (algorithm.slice(0, 2)) {
    case 'HS':
      return createHmac(hash, key).update(bytes).digest();
    case 'RS':
      return signBytes(hash, bytes, key);
    case 'PS':
      return signBytes(hash, bytes, { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST });
    case 'ES':
      return signBytes(hash, bytes, { key, dsaEncoding: 'ieee-p1363' });
    default:
      return signBytes(null, bytes, key);
  }
}

/**
 * A token of these claims. `header` is added to the header; `raw` takes the place of claims that no object can hold (a text with a
 * member twice).
 */
export function makeToken(claims, { algorithm = 'HS256', key = SECRET, header = {}, raw } = {}) {
  const signed = `${part({ alg: algorithm, typ: 'JWT', ...header })}.${part(raw ?? claims)}`;
  return `${signed}.${signature(algorithm, signed, key).toString('base64url')}`;
}

/** A token without a signature that counts: `alg: none`, as often as its spelling is tried. */
export function unsignedToken(claims, algorithm = 'none', tail = '') {
  return `${part({ alg: algorithm, typ: 'JWT' })}.${part(claims)}.${tail}`;
}

export const seconds = (from = 0) => Math.floor(Date.now() / 1000) + from;

/** Claims with these rights, for an hour. */
export const claims = (sluice, more = {}) => ({ sub: 'ann', exp: seconds(3600), sluice, ...more });

export const bearer = (token) => ({ authorization: `Bearer ${token}` });

/** {publicKey, privateKey, pem, jwk} of a new pair: 'RS256', 'PS256', 'ES256', 'ES384', 'ES512', 'EdDSA'. */
export function makePair(algorithm) {
  const curves = { ES256: 'P-256', ES384: 'P-384', ES512: 'P-521' };
  const pair = curves[algorithm]
    ? generateKeyPairSync('ec', { namedCurve: curves[algorithm] })
    : algorithm === 'EdDSA'
      ? generateKeyPairSync('ed25519')
      : generateKeyPairSync('rsa', { modulusLength: 2048 });
  return {
    ...pair,
    pem: pair.publicKey.export({ type: 'spki', format: 'pem' }),
    jwk: pair.publicKey.export({ format: 'jwk' }),
  };
}
