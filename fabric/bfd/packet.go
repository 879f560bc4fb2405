package bfd

import (
	"encoding/binary"
	"fmt"
)

// UDP ports (RFC 5881 section 4, RFC 5883 section 5), and the first of the range
// that a session's source port is from.
const (
	SingleHopPort = 3784
	MultihopPort  = 4784
	FirstSource   = 49152
)

// State is that of a session (RFC 5880 section 4.1).
type State uint8

// The states, as on the wire.
const (
	AdminDown State = iota
	Down
	Init
	Up
)

// String returns "admin-down", "down", "init" or "up".
func (s State) String() string {
	switch s {
	case AdminDown:
		return "admin-down"
	case Down:
		return "down"
	case Init:
		return "init"
	case Up:
		return "up"
	}
	return fmt.Sprintf("state-%d", uint8(s))
}

// Diag says why a session changed its state last (RFC 5880 section 4.1).
type Diag uint8

// The diagnostic codes, as on the wire.
const (
	DiagNone Diag = iota
	DiagExpired
	DiagEcho
	DiagSignaled // the neighbour said that it is down
	DiagReset
	DiagPath
	DiagConcatenated
	DiagAdmin
	DiagReverse
)

var diagNames = [...]string{
	DiagNone: "none", DiagExpired: "detection-time-expired", DiagEcho: "echo-failed", DiagSignaled: "neighbour-signaled-down",
	DiagReset: "forwarding-plane-reset", DiagPath: "path-down", DiagConcatenated: "concatenated-path-down",
	DiagAdmin: "administratively-down", DiagReverse: "reverse-concatenated-path-down",
}

// String returns the stable name: lower case words joined by hyphens.
func (d Diag) String() string {
	if int(d) < len(diagNames) {
		return diagNames[d]
	}
	return fmt.Sprintf("diagnostic-%d", uint8(d))
}

// Packet is a Control packet (RFC 5880 section 4.1), without its authentication
// section.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|Vers |  Diag   |Sta|P|F|C|A|D|M|  Detect Mult  |    Length     |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                       My Discriminator                        |
//	|                      Your Discriminator                       |
//	|                    Desired Min TX Interval                    |
//	|                   Required Min RX Interval                    |
//	|                 Required Min Echo RX Interval                 |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
type Packet struct {
	Diag  Diag
	State State
	Poll  bool
	Final bool
	// Independent (C): BFD of the sender lives on when its control plane dies.
	Independent  bool
	Auth         bool // an authentication section follows
	Demand       bool
	Multipoint   bool
	Mult         uint8
	Mine, Yours  uint32 // discriminators; Yours is 0 when not known
	DesiredTx    uint32 // us
	RequiredRx   uint32 // us
	RequiredEcho uint32 // us
}

const (
	headerSize  = 24
	leastAuth   = 2 // bytes of an authentication section: its type and length
	version     = 1
	flagPoll    = 0x20
	flagFinal   = 0x10
	flagControl = 0x08
	flagAuth    = 0x04
	flagDemand  = 0x02
	flagMulti   = 0x01
)

// put writes p without authentication into b[:24], with length as its Length.
func (p *Packet) put(b []byte, length int) {
	_ = b[headerSize-1]
	b[0] = version<<5 | byte(p.Diag)&0x1f
	b[1] = byte(p.State) << 6
	for _, f := range []struct {
		on  bool
		bit byte
	}{
		{p.Poll, flagPoll},
		{p.Final, flagFinal},
		{p.Independent, flagControl},
		{p.Auth, flagAuth},
		{p.Demand, flagDemand},
		{p.Multipoint, flagMulti},
	} {
		if f.on {
			b[1] |= f.bit
		}
	}
	b[2] = p.Mult
	b[3] = byte(length)
	binary.BigEndian.PutUint32(b[4:], p.Mine)
	binary.BigEndian.PutUint32(b[8:], p.Yours)
	binary.BigEndian.PutUint32(b[12:], p.DesiredTx)
	binary.BigEndian.PutUint32(b[16:], p.RequiredRx)
	binary.BigEndian.PutUint32(b[20:], p.RequiredEcho)
}

// Decode reads a UDP payload into p and makes the checks of RFC 5880 section
// 6.8.6 that need no session, in its order. It returns the packet without what
// follows its Length, and 0, or the check that failed.
func (p *Packet) Decode(b []byte) (whole []byte, fault Stat) {
	*p = Packet{}
	if len(b) == 0 || b[0]>>5 != version {
		return nil, RefusedVersion
	}
	if len(b) < headerSize {
		return nil, RefusedLength
	}
	*p = Packet{
		Diag:         Diag(b[0] & 0x1f),
		State:        State(b[1] >> 6),
		Poll:         b[1]&flagPoll != 0,
		Final:        b[1]&flagFinal != 0,
		Independent:  b[1]&flagControl != 0,
		Auth:         b[1]&flagAuth != 0,
		Demand:       b[1]&flagDemand != 0,
		Multipoint:   b[1]&flagMulti != 0,
		Mult:         b[2],
		Mine:         binary.BigEndian.Uint32(b[4:]),
		Yours:        binary.BigEndian.Uint32(b[8:]),
		DesiredTx:    binary.BigEndian.Uint32(b[12:]),
		RequiredRx:   binary.BigEndian.Uint32(b[16:]),
		RequiredEcho: binary.BigEndian.Uint32(b[20:]),
	}
	length, least := int(b[3]), headerSize
	if p.Auth {
		least += leastAuth
	}
	switch {
	case length < least || length > len(b):
		return nil, RefusedLength
	case p.Mult == 0:
		return nil, RefusedMultiplier
	case p.Multipoint:
		return nil, RefusedMultipoint
	case p.Mine == 0:
		return nil, RefusedDiscriminator
	case p.Yours == 0 && p.State > Down:
		return nil, RefusedState
	}
	return b[:length], 0
}

// Bytes returns p as a UDP payload, without authentication.
func (p *Packet) Bytes() []byte {
	b := make([]byte, headerSize)
	p.put(b, headerSize)
	return b
}
