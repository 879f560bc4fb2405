package tcpmd5

import (
	"crypto/md5"
	"crypto/subtle"
	"encoding/binary"

	"github.com/ztos/ztos/engine/wire"
)

// Overhead is how many bytes Sign adds at most: the option, and its padding.
const Overhead = 20

// Kinds of TCP options (RFC 9293, 2018, 2385).
const (
	optEnd           = 0
	optNop           = 1
	optSACKPermitted = 4
	optSACK          = 5
	optSignature     = 19
)

const (
	signatureLen = 2 + md5.Size // option with its kind and length
	optionsMax   = 60 - wire.TCPLen
)

// Signed reports whether p is a TCP segment with a signature, right or wrong.
func Signed(p []byte) bool {
	s, ok := parse(p)
	return ok && s.signature() != nil
}

// Verify reports whether p, one whole IP packet, is a TCP segment with the signature
// that it has under key, 1 to 80 bytes.
func Verify(p, key []byte) bool {
	s, ok := parse(p)
	if !ok {
		return false
	}
	d := s.digest(key)
	return subtle.ConstantTimeCompare(s.signature(), d[:]) == 1
}

// Sign signs the TCP segment that is the IP packet b[:n], under key, 1 to 80 bytes, in
// place, with both checksums, and returns the new length. Selective acknowledgments are
// left out, since both do not fit the header; Admit keeps them from being agreed on.
// false, with b unchanged: b[:n] is no segment, b has no room for Overhead bytes more,
// or the options are too long.
func Sign(b []byte, n int, key []byte) (int, bool) {
	if n > len(b) {
		return n, false
	}
	s, ok := parse(b[:n])
	if !ok {
		return n, false
	}
	var kept [optionsMax]byte
	used, ok := compact(&kept, s.tcp.Options())
	have := s.tcp.HeaderLen() - wire.TCPLen
	want := (used + signatureLen + 3) &^ 3
	if !ok || want > optionsMax || n+want-have > len(b) {
		return n, false
	}
	at := n - len(s.tcp) // where TCP begins
	copy(b[at+wire.TCPLen+want:], b[at+wire.TCPLen+have:n])
	n += want - have
	options := b[at+wire.TCPLen:][:want]
	clear(options)
	for i := range want - used - signatureLen {
		options[i] = optNop // in front, so that nothing follows the end of the list
	}
	pad := want - used - signatureLen
	copy(options[pad:], kept[:used])
	options[pad+used], options[pad+used+1] = optSignature, signatureLen
	b[at+12] = byte(wire.TCPLen+want)/4<<4 | b[at+12]&0x0f
	s = segment{b[:n], wire.TCP(b[at:n])}
	if s.v4() {
		wire.IPv4(b).SetTotalLen(n)
		wire.IPv4(b).UpdateChecksum()
	} else {
		wire.IPv6(b).SetPayloadLen(n - wire.IPv6Len)
	}
	d := s.digest(key)
	copy(options[pad+used+2:], d[:])
	s.fix()
	return n, true
}

// compact copies options without padding, selective acknowledgments and a signature of
// before. false: they do not fit.
func compact(to *[optionsMax]byte, o wire.TCPOptions) (used int, ok bool) {
	for {
		kind, data, more := o.Next()
		switch {
		case !more:
			return used, true
		case kind == optSACKPermitted || kind == optSACK || kind == optSignature:
			continue
		case used+2+len(data) > len(to):
			return used, false
		}
		to[used], to[used+1] = kind, byte(2+len(data))
		copy(to[used+2:], data)
		used += 2 + len(data)
	}
}

// Admit makes a SYN that has arrived such that the stack's own segments have room for
// signatures: it offers no selective acknowledgments, and a maximum segment size that
// leaves Overhead bytes of packets of mtu bytes. Other packets, and what has a wrong
// checksum, are left alone.
func Admit(p []byte, mtu int) {
	s, ok := parse(p)
	if !ok || s.tcp.Flags()&wire.FlagSYN == 0 || s.sum() != 0xffff {
		return
	}
	most := mtu - (len(p) - len(s.tcp)) - wire.TCPLen
	for b := s.tcp[wire.TCPLen:s.tcp.HeaderLen()]; len(b) > 0; {
		switch kind := b[0]; {
		case kind == optNop:
			b = b[1:]
			continue
		case kind == optEnd || len(b) < 2 || b[1] < 2 || int(b[1]) > len(b):
			s.fix()
			return
		case kind == wire.TCPOptMSS && b[1] == 4:
			mss := min(int(binary.BigEndian.Uint16(b[2:])), most) - Overhead
			binary.BigEndian.PutUint16(b[2:], uint16(max(mss, 1)))
			b = b[4:]
		case kind == optSACKPermitted && b[1] == 2:
			b[0], b[1] = optNop, optNop
		default:
			b = b[b[1]:]
		}
	}
	s.fix()
}
