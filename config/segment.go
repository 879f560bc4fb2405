package config

import (
	"github.com/ztos/ztos/bgp/evpn"
	"github.com/ztos/ztos/engine/table"
)

// EthernetSegment is a host, or a switch, with links to several leaves: this is the
// one that this leaf has. All leaves of a segment say the same identifier, mode and
// election.
type EthernetSegment struct {
	// The segment's name, unique: 1 to 32 of a-z, 0-9 and hyphen. Required.
	Name string `yaml:"name"`
	// Name of the port that leads to it; the port's circuits are all the segment's,
	// one in each bridge domain. Required.
	Port string `yaml:"port"`
	// Identifier: ten octets in hex with colons, the first is the type, 00 for one
	// that was made up. One of esi, discriminator and lacp-key. Required.
	ESI ESI `yaml:"esi"`
	// MAC from which the identifier is derived. With discriminator or lacp-key only.
	SystemMAC table.MAC `yaml:"system-mac"`
	// Number of the segment among those of `system-mac`, 1 to 16777215: makes an
	// identifier of type 3.
	Discriminator uint32 `yaml:"discriminator"`
	// Port key of the host's LACP, whose system MAC is `system-mac`, 1 to 65535:
	// makes an identifier of type 1. LACP itself is not spoken.
	LACPKey uint16 `yaml:"lacp-key"`
	// all-active (all leaves forward, flows spread) or single-active (one does).
	// Default all-active.
	Mode SegmentMode `yaml:"mode"`
	// Who of the leaves sends the segment what goes to all.
	DF DF `yaml:"df"`
}

// DF is the election of a segment's designated forwarder.
type DF struct {
	// modulo (RFC 7432), hrw (RFC 8584) or preference (RFC 9785). Default modulo.
	Algorithm DFAlgorithm `yaml:"algorithm"`
	// The leaf with the greatest is elected, 0 to 65535. preference only. Default
	// 32767.
	Preference *uint16 `yaml:"preference"`
	// A leaf that comes back does not take over from one that is elected.
	// preference only. Default false.
	NonRevertive bool `yaml:"non-revertive"`
}

// Identifier returns the segment's identifier, given or derived.
func (s *EthernetSegment) Identifier() evpn.ESI {
	switch {
	case s.LACPKey != 0:
		return evpn.ESIFromLACP(s.SystemMAC, s.LACPKey)
	case s.Discriminator != 0:
		return evpn.ESIFromMAC(s.SystemMAC, s.Discriminator)
	}
	return evpn.ESI(s.ESI)
}

// Election returns the election as EVPN has it.
func (d *DF) Election() evpn.DFElection {
	switch d.Algorithm {
	case DFHRW:
		return evpn.DFElection{Alg: evpn.DFHRW}
	case DFPreference:
		e := evpn.DFElection{Alg: evpn.DFHighest, Preference: *d.Preference}
		if d.NonRevertive {
			e.Caps = evpn.CapDontPreempt
		}
		return e
	}
	return evpn.DFElection{}
}

// SegmentOf returns the segment behind a port, nil when it leads to none.
func (n *Node) SegmentOf(port string) *EthernetSegment {
	for i := range n.EthernetSegments {
		if n.EthernetSegments[i].Port == port {
			return &n.EthernetSegments[i]
		}
	}
	return nil
}

// ESI is the identifier of an Ethernet segment. The zero value means none.
type ESI evpn.ESI

// String returns ten octets in hex with colons, empty for none.
func (e ESI) String() string {
	if evpn.ESI(e).IsZero() {
		return ""
	}
	return evpn.ESI(e).String()
}

// MarshalText returns String.
func (e ESI) MarshalText() ([]byte, error) { return []byte(e.String()), nil }

// UnmarshalText sets e; empty is none.
func (e *ESI) UnmarshalText(b []byte) error {
	if len(b) == 0 {
		*e = ESI{}
		return nil
	}
	v, err := evpn.ParseESI(string(b))
	*e = ESI(v)
	return err
}

// SegmentMode says how many leaves of a segment forward. The zero value means that the document does not say.
type SegmentMode uint8

// The values of SegmentMode.
const (
	AllActive    SegmentMode = iota + 1 // all of them
	SingleActive                        // the designated forwarder alone
)

var segmentModeWords = []string{"all-active", "single-active"}

// ParseSegmentMode returns the SegmentMode that s names.
func ParseSegmentMode(s string) (SegmentMode, error) {
	v, err := parseEnum("mode of a segment", s, segmentModeWords)
	return SegmentMode(v), err
}

// String returns the word of the document, empty for the zero value.
func (v SegmentMode) String() string { return enumString(uint8(v), segmentModeWords) }

// MarshalText returns String.
func (v SegmentMode) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// UnmarshalText sets v by ParseSegmentMode.
func (v *SegmentMode) UnmarshalText(b []byte) (err error) {
	*v, err = ParseSegmentMode(string(b))
	return err
}

// DFAlgorithm elects a designated forwarder. The zero value means that the document does not say.
type DFAlgorithm uint8

// The values of DFAlgorithm.
const (
	DFModulo     DFAlgorithm = iota + 1 // RFC 7432 section 8.5: VNI modulo the number of leaves
	DFHRW                               // RFC 8584 section 3: highest random weight
	DFPreference                        // RFC 9785: highest preference
)

var dFAlgorithmWords = []string{"modulo", "hrw", "preference"}

// ParseDFAlgorithm returns the DFAlgorithm that s names.
func ParseDFAlgorithm(s string) (DFAlgorithm, error) {
	v, err := parseEnum("DF algorithm", s, dFAlgorithmWords)
	return DFAlgorithm(v), err
}

// String returns the word of the document, empty for the zero value.
func (v DFAlgorithm) String() string { return enumString(uint8(v), dFAlgorithmWords) }

// MarshalText returns String.
func (v DFAlgorithm) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// UnmarshalText sets v by ParseDFAlgorithm.
func (v *DFAlgorithm) UnmarshalText(b []byte) (err error) {
	*v, err = ParseDFAlgorithm(string(b))
	return err
}
