package dhcp

import "fmt"

// Fault says why a message goes no further. The zero value is none. The names are
// stable API.
type Fault uint8

// The values of Fault.
const (
	None        Fault = iota
	Malformed         // cut off, options that do not fit, or no DHCP at all
	BadChecksum       // the UDP checksum is wrong, or absent where it may not be
	WrongType         // a client sent what servers send, or the reverse
	ForgedRelay       // a client sent what relays send: giaddr or RELAY-FORW
	ForgedAgent       // a client sent option 82
	TooManyHops       // was relayed as often as it may be
	TooLong           // does not fit a packet with what the relay adds
	Limited           // the circuit or the VNI sends faster than it may
	NotServer         // a reply of somebody who is no server of the bridge domain
	NoLink            // a reply that names no bridge domain of the VRF
	NoClient          // a reply for a client that did not ask lately
	Unsent            // no route, no neighbour, or no room on the way
	numFaults
)

// NumFaults is the length of an array indexed by Fault.
const NumFaults = int(numFaults)

var faultNames = [NumFaults]string{
	"none", "malformed", "bad-checksum", "wrong-type", "forged-relay", "forged-agent", "too-many-hops",
	"too-long", "limited", "not-server", "no-link", "no-client", "unsent",
}

// String returns the name of f.
func (f Fault) String() string {
	if int(f) >= NumFaults {
		return fmt.Sprintf("fault-%d", uint8(f))
	}
	return faultNames[f]
}
