package dhcp

import (
	"encoding/binary"
	"net/netip"

	"github.com/ztos/ztos/engine/table"
)

// Ports of DHCP (RFC 2131 section 4.1, RFC 8415 section 7.2).
const (
	ServerPort4 = 67
	ClientPort4 = 68
	ClientPort6 = 546
	ServerPort6 = 547
)

// Message4 is a view of a DHCP message (RFC 2131 section 2), UDP's payload.
//
//	+---------------+---------------+---------------+---------------+
//	|    op (1)     |   htype (1)   |   hlen (1)    |   hops (1)    |  0
//	+---------------+---------------+---------------+---------------+
//	|                            xid (4)                            |  4
//	+-------------------------------+-------------------------------+
//	|           secs (2)            |           flags (2)           |  8
//	+-------------------------------+-------------------------------+
//	|                          ciaddr  (4)                          |  12
//	|                          yiaddr  (4)                          |  16
//	|                          siaddr  (4)                          |  20
//	|                          giaddr  (4)                          |  24
//	+---------------------------------------------------------------+
//	|                          chaddr  (16)                         |  28
//	|                          sname   (64)                         |  44
//	|                          file    (128)                        |  108
//	|                          magic cookie (4)                     |  236
//	+---------------------------------------------------------------+
//	|                          options (variable)                   |  240
//	+---------------------------------------------------------------+
type Message4 []byte

const (
	options4    = 240
	magic       = 0x63825363
	flagsOff    = 10
	ciaddrOff   = 12
	yiaddrOff   = 16
	giaddrOff   = 24
	chaddrOff   = 28
	snameOff    = 44
	fileOff     = 108
	broadcast   = 0x80 // of the first octet of flags
	ethernet    = 1    // htype
	bootpLen    = 300  // the shortest message that every relay and server takes (RFC 1542 section 2.1)
	maxHops4    = 16   // RFC 1542 section 4.1.1
	opRequest   = 1
	opReply     = 2
	optPad      = 0
	optOverload = 52
	optType     = 53
	optAgent    = 82
	optEnd      = 255
	subCircuit  = 1  // RFC 3046 section 2.0
	subRemote   = 2  // RFC 3046 section 2.0
	subLink     = 5  // RFC 3527 section 3
	subServer   = 11 // RFC 5107 section 4
)

// Op returns 1 for a request, 2 for a reply.
func (m Message4) Op() uint8 { return m[0] }

// Hops returns how often the message was relayed.
func (m Message4) Hops() uint8 { return m[3] }

// Broadcast reports whether the client wants its answer by broadcast.
func (m Message4) Broadcast() bool { return m[flagsOff]&broadcast != 0 }

// Client returns the client's MAC; valid after parse4.
func (m Message4) Client() table.MAC { return table.MACFrom(m[chaddrOff:]) }

func (m Message4) addr(off int) netip.Addr { return netip.AddrFrom4([4]byte(m[off:])) }

// Giaddr returns the address of the first relay, 0.0.0.0 before one.
func (m Message4) Giaddr() netip.Addr { return m.addr(giaddrOff) }

// parsed4 is what a relay reads of a message's options.
type parsed4 struct {
	typ      uint8  // of the message: RFC 2132 section 9.6
	end      int    // offset of the end option, bytes
	agent    []byte // content of option 82, nil without
	agentOff int    // offset of option 82, bytes; valid iff agent is not nil
	overload bool   // there are options in sname or file (RFC 2132 section 9.3)
}

// parse4 reads m. It refuses what is no DHCP message of an Ethernet client, whose
// options do not end, or that has one of those that a relay reads twice.
func parse4(m Message4) (p parsed4, f Fault) {
	if len(m) < options4 || binary.BigEndian.Uint32(m[options4-4:]) != magic || m[1] != ethernet || m[2] != 6 {
		return p, Malformed
	}
	if c := m.Client(); c == 0 || c.IsMulticast() {
		return p, Malformed
	}
	for at := options4; at < len(m); {
		code := m[at]
		switch {
		case code == optPad:
			at++
			continue
		case code == optEnd:
			p.end = at
			if p.typ == 0 {
				return p, Malformed // BOOTP without DHCP
			}
			return p, None
		case at+2 > len(m) || at+2+int(m[at+1]) > len(m):
			return p, Malformed
		}
		body := m[at+2 : at+2+int(m[at+1])]
		switch code {
		case optType:
			if len(body) != 1 || body[0] == 0 || p.typ != 0 {
				return p, Malformed
			}
			p.typ = body[0]
		case optOverload:
			p.overload = true
		case optAgent:
			if p.agent != nil || len(body) == 0 {
				return p, Malformed
			}
			p.agent, p.agentOff = body, at
		}
		at += 2 + len(body)
	}
	return p, Malformed
}

// hidesAgent reports whether option 82 is in sname or file, if they hold options: a
// server reads them as those of the options field, a relay forwards them as they are.
// What can't be read counts as hidden.
func hidesAgent(m Message4) bool {
	return holdsAgent(m[snameOff:fileOff]) || holdsAgent(m[fileOff:options4-4])
}

func holdsAgent(field []byte) bool {
	for at := 0; at < len(field) && field[at] != optEnd; {
		switch {
		case field[at] == optPad:
			at++
			continue
		case field[at] == optAgent, at+1 == len(field):
			return true
		}
		if at += 2 + int(field[at+1]); at > len(field) {
			return true
		}
	}
	return false
}

// subOption returns the content of a sub-option of option 82.
func subOption(agent []byte, code uint8) ([]byte, bool) {
	for at := 0; at+2 <= len(agent); {
		n := int(agent[at+1])
		if at+2+n > len(agent) {
			return nil, false
		}
		if agent[at] == code {
			return agent[at+2 : at+2+n], true
		}
		at += 2 + n
	}
	return nil, false
}

// types4 are the names of message types (RFC 2132 section 9.6).
var types4 = []string{"", "DISCOVER", "OFFER", "REQUEST", "DECLINE", "ACK", "NAK", "RELEASE", "INFORM"}

// fromServer4 reports whether servers send messages of a type.
func fromServer4(typ uint8) bool { return typ == 2 || typ == 5 || typ == 6 }
