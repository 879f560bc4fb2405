#!/usr/bin/env python3
"""Writes vectors.json: whole WireGuard handshakes, computed a second time.

This is an implementation of its own, from the whitepaper's section 5.4, over
hashlib and the Python package cryptography. Run it in this folder.
"""
import hashlib
import hmac
import json

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

RAW = serialization.Encoding.Raw, serialization.PublicFormat.Raw


def H(x):
    return hashlib.blake2s(x).digest()


def MAC(key, x):
    return hashlib.blake2s(x, key=key, digest_size=16).digest()


def kdf(n, key, x):
    prk = hmac.new(key, x, hashlib.blake2s).digest()
    out, t = [], b""
    for i in range(n):
        t = hmac.new(prk, t + bytes([i + 1]), hashlib.blake2s).digest()
        out.append(t)
    return out


def pub(k):
    return X25519PrivateKey.from_private_bytes(k).public_key().public_bytes(*RAW)


def dh(k, p):
    return X25519PrivateKey.from_private_bytes(k).exchange(X25519PublicKey.from_public_bytes(p))


def aead(key, plain, aad):
    return ChaCha20Poly1305(key).encrypt(bytes(12), plain, aad)


def le32(n):
    return n.to_bytes(4, "little")


def handshake(name, si, sr, ei, er, psk, stamp, ii, ir):
    pi, pr, epi, epr = pub(si), pub(sr), pub(ei), pub(er)
    c = H(b"Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s")
    h = H(H(c + b"WireGuard v1 zx2c4 Jason@zx2c4.com") + pr)
    # initiation
    (c,) = kdf(1, c, epi)
    h = H(h + epi)
    c, k = kdf(2, c, dh(ei, pr))
    static = aead(k, pi, h)
    h = H(h + static)
    c, k = kdf(2, c, dh(si, pr))
    time = aead(k, stamp, h)
    h = H(h + time)
    m1 = b"\x01\0\0\0" + le32(ii) + epi + static + time
    m1 += MAC(H(b"mac1----" + pr), m1) + bytes(16)
    # response
    (c,) = kdf(1, c, epr)
    h = H(h + epr)
    (c,) = kdf(1, c, dh(er, epi))
    (c,) = kdf(1, c, dh(er, pi))
    c, t, k = kdf(3, c, psk)
    h = H(h + t)
    empty = aead(k, b"", h)
    m2 = b"\x02\0\0\0" + le32(ir) + le32(ii) + epr + empty
    m2 += MAC(H(b"mac1----" + pi), m2) + bytes(16)
    ti, tr = kdf(2, c, b"")
    x = lambda b: b.hex()
    return dict(name=name, initiator_private=x(si), responder_private=x(sr),
                initiator_public=x(pi), responder_public=x(pr),
                initiator_ephemeral=x(ei), responder_ephemeral=x(er), psk=x(psk),
                timestamp=x(stamp), initiator_index=ii, responder_index=ir,
                initiation=x(m1), response=x(m2), initiator_send=x(ti), initiator_recv=x(tr))


def key(label):
    return hashlib.sha256(label.encode()).digest()


vectors = [
    handshake("no psk", key("si"), key("sr"), key("ei"), key("er"), bytes(32),
              bytes.fromhex("400000006a0000000a000000"), 0x01020304, 0xfffefdfc),
    handshake("psk", key("si2"), key("sr2"), key("ei2"), key("er2"), key("psk2"),
              bytes.fromhex("40000000700000002b000000"), 0, 0x80000000),
]
json.dump(vectors, open("vectors.json", "w"), indent=1)
