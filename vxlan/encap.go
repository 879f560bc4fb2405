package vxlan

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/engine/wire"
)

// Checksum says what goes into the outer UDP checksum field.
type Checksum uint8

const (
	// ChecksumAuto is zero over IPv4 and full over IPv6: the defaults of
	// RFC 7348 section 5 and RFC 8200 section 8.1.
	ChecksumAuto Checksum = iota
	// ChecksumZero is zero over both. Over IPv6 only a receiver that was told
	// so takes it (RFC 6935, RFC 6936).
	ChecksumZero
	// ChecksumFull covers the whole datagram over both.
	ChecksumFull
)

// DefaultTTL is the outer TTL or hop limit when TemplateConfig.TTL is 0.
const DefaultTTL = 64

// TemplateConfig describes one adjacency: the way from this VTEP to another in
// one VNI.
type TemplateConfig struct {
	Src, Dst netip.Addr // VTEPs, both IPv4 or both IPv6; not IPv4-mapped
	VNI      table.VNI  // 1 to table.MaxVNI
	Port     uint16     // UDP destination, 0 means Port
	TTL      uint8      // 0 means DefaultTTL
	DSCP     uint8      // 0 to 63
	Checksum Checksum
}

// Template is an adjacency's precomputed outer headers. Immutable: any number
// of workers use it at once.
type Template struct {
	hdr    [MaxOverhead]byte
	n      uint8  // Overhead4 or Overhead6
	full   bool   // the UDP checksum is computed
	ipSum  uint32 // unfolded sum of the IPv4 header as it is in hdr
	pseudo uint32 // unfolded sum of what every UDP checksum begins with
}

// NewTemplate checks c and builds its headers.
func NewTemplate(c TemplateConfig) (*Template, error) {
	if c.VNI == 0 || c.VNI > table.MaxVNI {
		return nil, fmt.Errorf("vxlan: VNI %d is not in 1 to %d", c.VNI, table.MaxVNI)
	}
	if !c.Src.IsValid() || !c.Dst.IsValid() || c.Src.Is4In6() || c.Dst.Is4In6() || c.Src.Is4() != c.Dst.Is4() {
		return nil, fmt.Errorf("vxlan: VTEPs %v and %v are not two addresses of one family", c.Src, c.Dst)
	}
	for _, a := range []netip.Addr{c.Src, c.Dst} {
		if a.IsUnspecified() || a.IsMulticast() || a.Zone() != "" {
			return nil, fmt.Errorf("vxlan: VTEP %v is not a unicast address without zone", a)
		}
	}
	if c.DSCP > 63 {
		return nil, fmt.Errorf("vxlan: DSCP %d is not in 0 to 63", c.DSCP)
	}
	if c.Checksum > ChecksumFull {
		return nil, fmt.Errorf("vxlan: checksum mode %d is unknown", c.Checksum)
	}
	if c.Port == 0 {
		c.Port = Port
	}
	if c.TTL == 0 {
		c.TTL = DefaultTTL
	}
	t := &Template{}
	if c.Src.Is4() {
		t.build4(c)
	} else {
		t.build6(c)
	}
	return t, nil
}

func (t *Template) build4(c TemplateConfig) {
	t.n = Overhead4
	t.full = c.Checksum == ChecksumFull
	h := t.hdr[:Overhead4]
	h[0] = 0x45 // version 4, five words of header
	h[1] = c.DSCP << 2
	h[6] = 0x40 // DF: a VTEP must not fragment (RFC 7348 section 4.3)
	h[8] = c.TTL
	h[9] = wire.ProtoUDP
	src, dst := c.Src.As4(), c.Dst.As4()
	copy(h[12:], src[:])
	copy(h[16:], dst[:])
	t.ipSum = wire.Sum(h[:wire.IPv4Len], 0)
	t.finish(h, wire.IPv4Len, 12, c)
}

func (t *Template) build6(c TemplateConfig) {
	t.n = Overhead6
	t.full = c.Checksum != ChecksumZero
	h := t.hdr[:Overhead6]
	// Version 6, traffic class, flow label 0: the label is written per packet.
	binary.BigEndian.PutUint32(h, 6<<28|uint32(c.DSCP)<<22)
	h[6] = wire.ProtoUDP
	h[7] = c.TTL
	src, dst := c.Src.As16(), c.Dst.As16()
	copy(h[8:], src[:])
	copy(h[24:], dst[:])
	t.finish(h, wire.IPv6Len, 8, c)
}

// finish writes UDP and VXLAN behind an IP header of ipLen bytes whose two
// addresses start at addr, and sums what every packet's UDP checksum begins
// with: addresses, protocol, destination port and VXLAN header.
func (t *Template) finish(h []byte, ipLen, addr int, c TemplateConfig) {
	binary.BigEndian.PutUint16(h[ipLen+2:], c.Port)
	Header(h[ipLen+wire.UDPLen:]).Put(c.VNI)
	t.pseudo = wire.Sum(h[addr:], uint32(wire.ProtoUDP))
}

// Len returns how many bytes Encap puts in front of a frame: Overhead4 or
// Overhead6.
func (t *Template) Len() int { return int(t.n) }

// Encap writes the outer headers into b[:t.Len()]. The rest of b is the frame,
// which must be final: a full UDP checksum covers it. flow is the hash of the
// inner flow; id the IPv4 identification, which means nothing while DF is set
// (RFC 6864 section 4.1) and may be 0. len(b) is at most 65,535.
//
// Hot path: no allocation.
func (t *Template) Encap(b []byte, flow uint32, id uint16) {
	if t.n == Overhead4 {
		copy(b[:Overhead4], t.hdr[:Overhead4])
		n := uint16(len(b))
		binary.BigEndian.PutUint16(b[2:], n)
		binary.BigEndian.PutUint16(b[4:], id)
		binary.BigEndian.PutUint16(b[10:], ^wire.Fold(t.ipSum+uint32(n)+uint32(id)))
		t.encapUDP(b, b[wire.IPv4Len:], flow)
		return
	}
	copy(b[:Overhead6], t.hdr[:Overhead6])
	binary.BigEndian.PutUint16(b[4:], uint16(len(b)-wire.IPv6Len))
	// The flow label gives IPv6 routers the same entropy (RFC 6438 section 3).
	label := binary.BigEndian.Uint32(b) | flow&0xfffff
	binary.BigEndian.PutUint32(b, label)
	t.encapUDP(b, b[wire.IPv6Len:], flow)
}

func (t *Template) encapUDP(b []byte, u wire.UDP, flow uint32) {
	port := SourcePort(flow)
	n := uint16(len(u))
	binary.BigEndian.PutUint16(u, port)
	u.SetLen(int(n))
	if !t.full {
		return
	}
	// The length counts twice: in the pseudo-header and in the UDP header.
	s := t.pseudo + 2*uint32(n) + uint32(port)
	u.SetChecksum(wire.UDPChecksum(wire.Fold(wire.Sum(b[t.n:], s))))
}
