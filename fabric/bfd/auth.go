package bfd

import (
	"crypto/sha1" // RFC 5880 has no other digest that is better than MD5
	"crypto/subtle"
	"encoding/binary"
	"fmt"

	"github.com/ztos/ztos/crypto/secret"
)

// AuthType is how packets are authenticated (RFC 5880 section 4.1).
type AuthType uint8

// The types that are spoken here, as on the wire. With KeyedSHA1 a packet may be
// replayed until the content of packets changes; with MeticulousSHA1 never.
const (
	NoAuth         AuthType = 0
	KeyedSHA1      AuthType = 4
	MeticulousSHA1 AuthType = 5
)

// String returns the stable name.
func (t AuthType) String() string {
	switch t {
	case NoAuth:
		return "none"
	case KeyedSHA1:
		return "keyed-sha1"
	case MeticulousSHA1:
		return "meticulous-keyed-sha1"
	}
	return fmt.Sprintf("authentication-%d", uint8(t))
}

// Auth is a session's authentication.
type Auth struct {
	Type  AuthType
	KeyID uint8
	Key   secret.Key // 1 to 20 bytes
}

// MaxKey is the longest key, bytes: it takes the place of the digest.
const MaxKey = sha1.Size

// authSize is the length of an authentication section (RFC 5880 section 4.4):
//
//	| Auth Type | Auth Len 28 | Key ID | 0 | Sequence Number 4 | Digest 20 |
const authSize = 8 + sha1.Size

// digest fills in or compares: it returns the digest of b, whose authentication
// section is complete but for the last 20 bytes.
func (a *Auth) digest(b []byte) [sha1.Size]byte {
	var whole [headerSize + authSize]byte
	defer clear(whole[:])
	copy(whole[:], b[:headerSize+authSize-sha1.Size])
	copy(whole[headerSize+authSize-sha1.Size:], a.Key.Bytes())
	return sha1.Sum(whole[:])
}

// sign writes the authentication section behind the header in b.
func (a *Auth) sign(b []byte, seq uint32) {
	s := b[headerSize : headerSize+authSize]
	s[0], s[1], s[2], s[3] = byte(a.Type), authSize, a.KeyID, 0
	binary.BigEndian.PutUint32(s[4:], seq)
	sum := a.digest(b)
	copy(s[8:], sum[:])
}

// authState is what a session remembers of sequence numbers (RFC 5880 section
// 6.8.1).
type authState struct {
	xmit  uint32
	rcv   uint32
	known bool // rcv is
}

// verify makes the checks of RFC 5880 section 6.7.4 on b, a whole packet, and
// returns 0 or the one that failed. mult is the session's Detect Mult. Only an
// authentic packet changes the state.
func (st *authState) verify(a *Auth, b []byte, mult uint8) Stat {
	s := b[headerSize:]
	if AuthType(s[0]) != a.Type || len(s) != authSize || s[1] != authSize {
		return RefusedAuthForm
	}
	if s[2] != a.KeyID {
		return RefusedAuthKey
	}
	seq := binary.BigEndian.Uint32(s[4:])
	if st.known {
		// Of a circle: ahead by 0 or 1 to 3 times the multiplier.
		ahead := seq - st.rcv
		if ahead > 3*uint32(mult) || ahead == 0 && a.Type == MeticulousSHA1 {
			return RefusedAuthSequence
		}
	}
	sum := a.digest(b)
	if subtle.ConstantTimeCompare(sum[:], s[8:]) != 1 {
		return RefusedAuthDigest
	}
	st.known, st.rcv = true, seq
	return 0
}
