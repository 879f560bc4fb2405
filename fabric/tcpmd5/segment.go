package tcpmd5

import (
	"crypto/md5"
	"encoding/binary"

	"github.com/ztos/ztos/engine/wire"
)

// segment is a TCP segment in its IP packet, which ends with it.
type segment struct {
	ip  []byte
	tcp wire.TCP // with payload
}

// parse returns the segment of a packet; false when p is none: another protocol, a
// fragment, an IPv6 packet with extension headers, or a length that does not fit.
func parse(p []byte) (s segment, ok bool) {
	switch {
	case wire.IPv4(p).Valid():
		h := wire.IPv4(p)
		if h.Proto() != wire.ProtoTCP || h.IsFragment() || h.TotalLen() != len(p) {
			return s, false
		}
		s = segment{p, wire.TCP(p[h.HeaderLen():])}
	case wire.IPv6(p).Valid():
		h := wire.IPv6(p)
		if h.NextHeader() != wire.ProtoTCP || wire.IPv6Len+h.PayloadLen() != len(p) {
			return s, false
		}
		s = segment{p, wire.TCP(p[wire.IPv6Len:])}
	default:
		return s, false
	}
	return s, s.tcp.Valid()
}

func (s segment) v4() bool { return s.ip[0]>>4 == 4 }

// sum returns what the whole segment adds up to with its pseudo-header: 0xffff when
// its checksum is right.
func (s segment) sum() uint16 {
	pseudo := uint32(0)
	if s.v4() {
		pseudo = wire.IPv4(s.ip).Pseudo(wire.ProtoTCP, len(s.tcp))
	} else {
		pseudo = wire.IPv6(s.ip).Pseudo(wire.ProtoTCP, len(s.tcp))
	}
	return wire.Fold(wire.Sum(s.tcp, pseudo))
}

// fix writes the checksum of TCP.
func (s segment) fix() {
	s.tcp.SetChecksum(0)
	s.tcp.SetChecksum(^s.sum())
}

// digest is the signature of s, RFC 2385 section 2.0. IPv6's pseudo-header is that of
// RFC 8200 section 8.1, as the Linux kernel has it.
func (s segment) digest(key []byte) (d [md5.Size]byte) {
	h := md5.New()
	n := uint32(len(s.tcp))
	if s.v4() {
		h.Write(s.ip[12:20])
		h.Write([]byte{0, wire.ProtoTCP, byte(n >> 8), byte(n)})
	} else {
		h.Write(wire.IPv6(s.ip).Addrs())
		h.Write(binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, n), uint32(wire.ProtoTCP)))
	}
	h.Write(s.tcp[:wire.TCPChecksumOff])
	h.Write([]byte{0, 0})
	h.Write(s.tcp[wire.TCPChecksumOff+2 : wire.TCPLen])
	h.Write(s.tcp[s.tcp.HeaderLen():])
	h.Write(key)
	h.Sum(d[:0])
	return d
}

// signature returns the signature that s carries; nil for none.
func (s segment) signature() []byte {
	for o := s.tcp.Options(); ; {
		kind, data, ok := o.Next()
		if !ok {
			return nil
		}
		if kind == optSignature && len(data) == md5.Size {
			return data
		}
	}
}
