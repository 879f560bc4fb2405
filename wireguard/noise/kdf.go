package noise

import (
	"golang.org/x/crypto/blake2s"
	"golang.org/x/crypto/chacha20poly1305"
)

// Labels of the whitepaper, section 5.4.
const (
	construction = "Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s"
	identifier   = "WireGuard v1 zx2c4 Jason@zx2c4.com"
	labelMAC1    = "mac1----"
	labelCookie  = "cookie--"
)

// hash32 is a BLAKE2s-256 output: chaining key, transcript hash or key.
type hash32 = [blake2s.Size]byte

// The chaining key and the transcript hash before a responder is known. They
// depend on constants only.
var (
	initialChain = blake2s.Sum256([]byte(construction))
	initialHash  = hash(initialChain[:], []byte(identifier))
)

// hash returns BLAKE2s-256 of the parts joined.
func hash(parts ...[]byte) (out hash32) {
	h, err := blake2s.New256(nil)
	if err != nil { // only for a key longer than 32 bytes
		panic("noise: blake2s: " + err.Error())
	}
	for _, p := range parts {
		h.Write(p)
	}
	h.Sum(out[:0])
	return out
}

// mac returns keyed BLAKE2s-128 of the parts joined: the whitepaper's
// Mac(key, input). The key has 16 or 32 bytes.
func mac(key []byte, parts ...[]byte) (out [MACSize]byte) {
	h, err := blake2s.New128(key)
	if err != nil { // only for a key longer than 32 bytes
		panic("noise: blake2s: " + err.Error())
	}
	for _, p := range parts {
		h.Write(p)
	}
	h.Sum(out[:0])
	return out
}

// hmac returns HMAC-BLAKE2s (RFC 2104) of the parts joined. The key has 32
// bytes, less than the block of 64, so it is never hashed first.
func hmac(key *hash32, parts ...[]byte) hash32 {
	var inner, outer [blake2s.BlockSize]byte
	for i := range inner {
		inner[i], outer[i] = 0x36, 0x5c
	}
	for i, k := range key {
		inner[i] ^= k
		outer[i] ^= k
	}
	h, err := blake2s.New256(nil)
	if err != nil {
		panic("noise: blake2s: " + err.Error())
	}
	h.Write(inner[:])
	for _, p := range parts {
		h.Write(p)
	}
	var sum hash32
	h.Sum(sum[:0])
	out := hash(outer[:], sum[:])
	clear(inner[:])
	clear(outer[:])
	return out
}

// kdf1, kdf2 and kdf3 are HKDF (RFC 5869) with one, two and three outputs, as
// the whitepaper's Kdf_n(key, input).
func kdf1(key *hash32, input []byte) hash32 {
	prk := hmac(key, input)
	defer clear(prk[:])
	return hmac(&prk, []byte{1})
}

func kdf2(key *hash32, input []byte) (a, b hash32) {
	prk := hmac(key, input)
	defer clear(prk[:])
	a = hmac(&prk, []byte{1})
	b = hmac(&prk, a[:], []byte{2})
	return a, b
}

func kdf3(key *hash32, input []byte) (a, b, c hash32) {
	prk := hmac(key, input)
	defer clear(prk[:])
	a = hmac(&prk, []byte{1})
	b = hmac(&prk, a[:], []byte{2})
	c = hmac(&prk, b[:], []byte{3})
	return a, b, c
}

// zeroNonce is the nonce of every AEAD in the handshake: each key seals once.
var zeroNonce [chacha20poly1305.NonceSize]byte

// seal appends AEAD(key, 0, plain, aad) to dst.
func seal(dst []byte, key *hash32, plain, aad []byte) []byte {
	a, err := chacha20poly1305.New(key[:])
	if err != nil { // only for a key that has not 32 bytes
		panic("noise: chacha20poly1305: " + err.Error())
	}
	return a.Seal(dst, zeroNonce[:], plain, aad)
}

// open appends the plaintext of box to dst; ok is false when it does not
// authenticate.
func open(dst []byte, key *hash32, box, aad []byte) (out []byte, ok bool) {
	a, err := chacha20poly1305.New(key[:])
	if err != nil {
		panic("noise: chacha20poly1305: " + err.Error())
	}
	out, err = a.Open(dst, zeroNonce[:], box, aad)
	return out, err == nil
}
