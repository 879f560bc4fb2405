package fabric_test

import (
	"encoding/binary"
	"fmt"

	"github.com/ztos/ztos/engine/pkt"
	portmem "github.com/ztos/ztos/engine/port/mem"
	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/engine/wire"
)

// flowKind is what a flow's frames look like.
type flowKind int

const (
	tcpSuper flowKind = iota // super-frames of 21 segments, the last short
	tcpPlain                 // single segments of full size
	udpSmall                 // datagrams of 18 bytes
	udpFull                  // datagrams of 1400 bytes
	udpSuper                 // super-frames of 16 datagrams
	numKinds
)

// flow is one numbered flow between two hosts of a tenant: its UDP datagrams
// count up, the bytes of its TCP stream are a function of where they stand.
type flow struct {
	id       int // also tells the source port
	from, to int // leaves
	vni      table.VNI
	kind     flowKind

	next uint32 // sender: next number or sequence number
	due  uint32 // receiver: what must come next
}

const (
	flowPort = 1000 // source port of flow 0
	tcpMSS   = 1460
	udpSize  = 1000 // of a datagram in a super-frame
)

// frame returns the flow's next frame, as a kernel hands it over, and for how
// many frames of the wire it stands.
func (f *flow) frame() (b []byte, o pkt.Offload, segs int) {
	hdr, proto, payload, size := 42, wire.ProtoUDP, 0, 0
	segs = 1
	switch f.kind {
	case tcpSuper:
		hdr, proto, segs = 54, wire.ProtoTCP, 21
		payload, size = 20*tcpMSS+99, tcpMSS
	case tcpPlain:
		hdr, proto, payload = 54, wire.ProtoTCP, tcpMSS
	case udpSmall:
		payload = 18
	case udpFull:
		payload = 1400
	case udpSuper:
		payload, size, segs = 16*udpSize, udpSize, 16
	}
	b = make([]byte, hdr+payload)
	wire.Ethernet(b).Put(mac(f.to), mac(f.from), wire.TypeIPv4)
	ip := wire.IPv4(b[14:])
	ip.Put(&wire.IPv4Fields{
		// DF: IPv4 IDs that stay 0 do not count, and frames are merged.
		TotalLen: len(b) - 14, DF: true, TTL: 64, Proto: proto,
		Src: 0x0a010000 + uint32(f.from), Dst: 0x0a010000 + uint32(f.to),
	})
	l4 := b[34:]
	binary.BigEndian.PutUint16(l4, uint16(flowPort+f.id))
	binary.BigEndian.PutUint16(l4[2:], 5001)
	pseudo := wire.Fold(ip.Pseudo(proto, len(l4)))
	o = pkt.Offload{NeedsCsum: true, CsumStart: 34, GSOSize: uint16(size)}
	if proto == wire.ProtoTCP {
		binary.BigEndian.PutUint32(l4[4:], f.next)
		l4[12], l4[13] = 5<<4, wire.FlagACK
		binary.BigEndian.PutUint16(l4[14:], 65535)
		binary.BigEndian.PutUint16(l4[16:], pseudo)
		o.CsumOff = wire.TCPChecksumOff
		if size > 0 {
			o.GSOType = pkt.GSOTCPv4
		}
		for i := range b[hdr:] {
			b[hdr+i] = f.octet(f.next + uint32(i))
		}
		f.next += uint32(payload)
		return b, o, segs
	}
	wire.UDP(l4).SetLen(len(l4))
	wire.UDP(l4).SetChecksum(pseudo)
	o.CsumOff = wire.UDPChecksumOff
	step := payload
	if size > 0 {
		o.GSOType, step = pkt.GSOUDP, size
	}
	for at := hdr; at < len(b); at += step {
		binary.BigEndian.PutUint32(b[at:], f.next)
		f.next++
	}
	return b, o, segs
}

// octet is the byte of the flow's TCP stream at a sequence number.
func (f *flow) octet(at uint32) byte { return byte(at>>8)*5 ^ byte(at)*3 ^ byte(f.id) }

// flowOf returns the number of the flow that an untagged IPv4 frame belongs to.
func flowOf(frame []byte) (id int, ok bool) {
	if len(frame) < 42 || wire.Ethernet(frame).Type() != wire.TypeIPv4 {
		return 0, false
	}
	return int(binary.BigEndian.Uint16(frame[34:])) - flowPort, true
}

// arrived checks what a port sent: the flow's next datagrams or bytes and
// nothing else, with right checksums. It returns how many frames of the wire it
// stands for.
func (f *flow) arrived(s portmem.Sent) (segs int, err error) {
	b := s.Frame
	ip := wire.IPv4(b[14:])
	proto := ip.Proto()
	sum := wire.Fold(wire.Sum(b[34:], ip.Pseudo(proto, len(b)-34)))
	if s.Offload.NeedsCsum {
		at := 34 + int(s.Offload.CsumOff)
		sum = 0
		if binary.BigEndian.Uint16(b[at:]) == wire.Fold(ip.Pseudo(proto, len(b)-34)) {
			sum = 0xffff
		}
	}
	if sum != 0xffff {
		return 0, fmt.Errorf("flow %d: wrong checksum in %d bytes, offload %+v", f.id, len(b), s.Offload)
	}
	hdr := 42
	if proto == wire.ProtoTCP {
		hdr = 54
	}
	step := len(b) - hdr
	if s.Offload.GSOType != pkt.GSONone {
		step = int(s.Offload.GSOSize)
	}
	for at := hdr; at < len(b); at += step {
		segs++
		if proto == wire.ProtoTCP {
			continue
		}
		if n := binary.BigEndian.Uint32(b[at:]); n != f.due {
			return 0, fmt.Errorf("flow %d from leaf %d: datagram %d came where %d was due", f.id, f.from, n, f.due)
		}
		f.due++
	}
	if proto != wire.ProtoTCP {
		return segs, nil
	}
	if n := binary.BigEndian.Uint32(b[38:]); n != f.due {
		return 0, fmt.Errorf("flow %d from leaf %d: sequence number %d came where %d was due", f.id, f.from, n, f.due)
	}
	for _, got := range b[hdr:] {
		if got != f.octet(f.due) {
			return 0, fmt.Errorf("flow %d: the byte at %d changed", f.id, f.due)
		}
		f.due++
	}
	return segs, nil
}
