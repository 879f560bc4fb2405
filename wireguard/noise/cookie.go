package noise

import (
	"crypto/subtle"
	"fmt"
	"io"

	"golang.org/x/crypto/chacha20poly1305"
)

// macOffsets returns where MAC1 and MAC2 of the initiation or response msg
// start: they are its last 32 bytes.
func macOffsets(msg []byte) (mac1, mac2 int) {
	return len(msg) - 2*MACSize, len(msg) - MACSize
}

// cookieKey returns the cipher that cookies for or from the owner of public are
// sealed with.
func cookieKey(public PublicKey) hash32 { return hash([]byte(labelCookie), public[:]) }

// Checker is the receiving side of the MACs: it checks those of the messages
// that others send us and makes the cookies that we hand out under load.
type Checker struct {
	opaque
	mac1Key   hash32
	cookieKey hash32
	refresh   int64 // ns, how long one secret is used
	secret    hash32
	secretSet int64 // ns since start; valid iff hasSecret
	hasSecret bool
}

// NewChecker returns the checker of the node with this public key. refresh is
// how long a secret, and so a cookie, is good: 120 s in the whitepaper, in ns.
func NewChecker(public PublicKey, refresh int64) *Checker {
	return &Checker{
		mac1Key:   hash([]byte(labelMAC1), public[:]),
		cookieKey: cookieKey(public),
		refresh:   refresh,
	}
}

// MAC1OK reports whether MAC1 of an initiation or a response is right: whether
// the sender knows our public key. msg must be Valid.
func (c *Checker) MAC1OK(msg []byte) bool {
	m1, m2 := macOffsets(msg)
	want := mac(c.mac1Key[:], msg[:m1])
	return subtle.ConstantTimeCompare(want[:], msg[m1:m2]) == 1
}

// MAC2OK reports whether MAC2 shows a cookie that we gave to src lately: that
// the sender receives what we send to src. src is address and port in any fixed
// form. now is ns since start.
func (c *Checker) MAC2OK(now int64, msg, src []byte) bool {
	if !c.hasSecret || now-c.secretSet > c.refresh {
		return false
	}
	cookie := mac(c.secret[:], src)
	_, m2 := macOffsets(msg)
	want := mac(cookie[:], msg[:m2])
	return subtle.ConstantTimeCompare(want[:], msg[m2:]) == 1
}

// Reply writes into out[:64] the cookie reply to msg, which came from src and
// whose MAC1 is right. A new secret is drawn when the old one is too old.
func (c *Checker) Reply(now int64, out, msg, src []byte, random io.Reader) error {
	if !c.hasSecret || now-c.secretSet > c.refresh {
		if _, err := io.ReadFull(random, c.secret[:]); err != nil {
			c.hasSecret = false
			return fmt.Errorf("noise: random: %w", err)
		}
		c.secretSet, c.hasSecret = now, true
	}
	m := CookieReply(out[:CookieReplySize])
	clear(m)
	putType(m, TypeCookieReply)
	copy(m[4:8], msg[4:8]) // receiver index := the sender index, opposite the answered message
	if _, err := io.ReadFull(random, m.nonce()); err != nil {
		return fmt.Errorf("noise: random: %w", err)
	}
	box, err := chacha20poly1305.NewX(c.cookieKey[:])
	if err != nil {
		return fmt.Errorf("noise: cookie: %w", err)
	}
	cookie := mac(c.secret[:], src)
	m1, m2 := macOffsets(msg)
	box.Seal(m.cookie()[:0], m.nonce(), cookie[:], msg[m1:m2])
	return nil
}

// Wipe clears the cookie secret.
func (c *Checker) Wipe() {
	clear(c.secret[:])
	c.hasSecret = false
}

// Jar is the sending side of the MACs towards one peer: it puts the MACs on our
// messages and keeps the cookie that the peer gave us.
type Jar struct {
	opaque
	mac1Key   hash32
	cookieKey hash32
	refresh   int64 // ns, how long a cookie is used
	cookie    [MACSize]byte
	cookieSet int64 // ns since start; valid iff hasCookie
	hasCookie bool
	lastMAC1  [MACSize]byte // of the last message sent: what a cookie reply is bound to
	hasMAC1   bool
}

// NewJar returns the jar for the peer with this public key. refresh is how long
// a cookie is used: 120 s in the whitepaper, in ns.
func NewJar(public PublicKey, refresh int64) *Jar {
	return &Jar{
		mac1Key:   hash([]byte(labelMAC1), public[:]),
		cookieKey: cookieKey(public),
		refresh:   refresh,
	}
}

// Put writes MAC1, and MAC2 when a fresh cookie is there, into the initiation
// or response msg and remembers MAC1 for the cookie reply that may come.
func (j *Jar) Put(now int64, msg []byte) {
	m1, m2 := macOffsets(msg)
	j.lastMAC1 = mac(j.mac1Key[:], msg[:m1])
	j.hasMAC1 = true
	copy(msg[m1:m2], j.lastMAC1[:])
	clear(msg[m2:])
	if j.hasCookie && now-j.cookieSet <= j.refresh {
		m := mac(j.cookie[:], msg[:m2])
		copy(msg[m2:], m[:])
	}
}

// Take opens a cookie reply and keeps its cookie; false, and nothing changed,
// when it is not the first answer to our last message.
func (j *Jar) Take(now int64, msg []byte) bool {
	m := CookieReply(msg)
	if !m.Valid() || !j.hasMAC1 {
		return false
	}
	box, err := chacha20poly1305.NewX(j.cookieKey[:])
	if err != nil {
		return false
	}
	var plain [MACSize]byte
	if _, err := box.Open(plain[:0], m.nonce(), m.cookie(), j.lastMAC1[:]); err != nil {
		return false
	}
	j.cookie, j.cookieSet, j.hasCookie = plain, now, true
	j.hasMAC1 = false // one reply a message: a repeated one must not renew the cookie
	return true
}
