package dhcp

import (
	"encoding/binary"
	"net/netip"
)

// Message6 is a view of a DHCPv6 message, UDP's payload: of a client or server
// (RFC 8415 section 8), or of a relay (section 9):
//
//	+---------------+---------------+-------------------------------+
//	|   msg-type    |   hop-count   |                               |  0
//	+---------------+---------------+                               +
//	|                         link-address                          |  2
//	|                         peer-address                          |  18
//	+---------------------------------------------------------------+
//	|                     options (code 2, length 2, content)       |  34
//	+---------------------------------------------------------------+
type Message6 []byte

const (
	client6Len   = 4
	relay6Len    = 34
	maxHops6     = 8 // HOP_COUNT_LIMIT, RFC 8415 section 7.6
	advertise6   = 2
	reply6       = 7
	reconfigure6 = 10
	relayForw6   = 12
	relayRepl6   = 13
	optRelayMsg  = 9
	optInterface = 18
	optLinkLayer = 79 // RFC 6939 section 4
	option6Len   = 4
)

// Type returns the message's type.
func (m Message6) Type() uint8 { return m[0] }

// Hops returns a relay message's hop count.
func (m Message6) Hops() uint8 { return m[1] }

// Link returns a relay message's link address.
func (m Message6) Link() netip.Addr { return netip.AddrFrom16([16]byte(m[2:])) }

// Peer returns a relay message's peer address.
func (m Message6) Peer() netip.Addr { return netip.AddrFrom16([16]byte(m[18:])) }

// isRelay6 reports whether messages of a type are relays'.
func isRelay6(typ uint8) bool { return typ == relayForw6 || typ == relayRepl6 }

// parsed6 is what a relay reads of a relay message's options.
type parsed6 struct {
	inner []byte // of the relay message option
	iface []byte // of the interface-id option
}

// parse6 reads m. It refuses what is cut off, whose options do not fit, and a relay
// message without exactly one message inside.
func parse6(m Message6) (p parsed6, f Fault) {
	if len(m) < client6Len {
		return p, Malformed
	}
	at := client6Len
	if isRelay6(m.Type()) {
		at = relay6Len
	}
	if len(m) < at || m.Type() == 0 {
		return p, Malformed
	}
	for at < len(m) {
		if at+option6Len > len(m) {
			return p, Malformed
		}
		code, n := binary.BigEndian.Uint16(m[at:]), int(binary.BigEndian.Uint16(m[at+2:]))
		at += option6Len
		if at+n > len(m) {
			return p, Malformed
		}
		body := m[at : at+n : at+n]
		at += n
		if !isRelay6(m.Type()) {
			continue
		}
		switch code {
		case optRelayMsg:
			if p.inner != nil || n == 0 {
				return p, Malformed
			}
			p.inner = body
		case optInterface:
			if p.iface != nil || n == 0 {
				return p, Malformed
			}
			p.iface = body
		}
	}
	if isRelay6(m.Type()) && p.inner == nil {
		return p, Malformed
	}
	return p, None
}

// putOption6 writes an option's header and content and returns what follows it.
func putOption6(b []byte, code uint16, body []byte) []byte {
	binary.BigEndian.PutUint16(b, code)
	binary.BigEndian.PutUint16(b[2:], uint16(len(body)))
	copy(b[option6Len:], body)
	return b[option6Len+len(body):]
}

// types6 are the names of message types (RFC 8415 section 7.3).
var types6 = []string{
	"", "SOLICIT", "ADVERTISE", "REQUEST", "CONFIRM", "RENEW", "REBIND", "REPLY", "RELEASE", "DECLINE",
	"RECONFIGURE", "INFORMATION-REQUEST", "RELAY-FORW", "RELAY-REPL",
}

// fromServer6 reports whether servers send messages of a type.
func fromServer6(typ uint8) bool {
	return typ == advertise6 || typ == reply6 || typ == reconfigure6 || typ == relayRepl6
}
