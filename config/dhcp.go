package config

import (
	"net/netip"
	"slices"
)

// DHCPRelay is the DHCP relay of a gateway (RFC 2131, RFC 8415).
type DHCPRelay struct {
	// DHCP servers in the same VRF, up to 4 of each family; a message goes to all of
	// its family. The VRF needs a loopback, and the gateway an address, of that
	// family. Required.
	Servers []netip.Addr `yaml:"servers"`
	// How option 82 and the DHCPv6 interface id name a client's circuit: port
	// (VNI/port, VNI/port.vlan or VNI/port.vlan.inner-vlan) or vni. Default port.
	CircuitID CircuitID `yaml:"circuit-id"`
	// How option 82 names the leaf: node (its name) or none. Default node.
	RemoteID RemoteID `yaml:"remote-id"`
	// Has IPv4 clients renew by the gateway, not straight at the server (RFC 5107).
	// Default false.
	ServerIDOverride bool `yaml:"server-id-override"`
	// Takes messages that another relay in the bridge domain has relayed already;
	// a host can forge them. Default false.
	Trusted bool `yaml:"trusted"`
}

// CircuitID says how a DHCP relay names a circuit. The zero value means that the document does not say.
type CircuitID uint8

// The values of CircuitID.
const (
	CircuitPort CircuitID = iota + 1 // by VNI, port and VLANs
	CircuitVNI                       // by VNI
)

var circuitIDWords = []string{"port", "vni"}

// ParseCircuitID returns the CircuitID that s names.
func ParseCircuitID(s string) (CircuitID, error) {
	v, err := parseEnum("circuit id", s, circuitIDWords)
	return CircuitID(v), err
}

// String returns the word of the document, empty for the zero value.
func (v CircuitID) String() string { return enumString(uint8(v), circuitIDWords) }

// MarshalText returns String.
func (v CircuitID) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// UnmarshalText sets v by ParseCircuitID.
func (v *CircuitID) UnmarshalText(b []byte) (err error) {
	*v, err = ParseCircuitID(string(b))
	return err
}

// RemoteID says how a DHCP relay names its leaf. The zero value means that the document does not say.
type RemoteID uint8

// The values of RemoteID.
const (
	RemoteNode RemoteID = iota + 1 // by its name
	RemoteNone                     // not at all
)

var remoteIDWords = []string{"node", "none"}

// ParseRemoteID returns the RemoteID that s names.
func ParseRemoteID(s string) (RemoteID, error) {
	v, err := parseEnum("remote id", s, remoteIDWords)
	return RemoteID(v), err
}

// String returns the word of the document, empty for the zero value.
func (v RemoteID) String() string { return enumString(uint8(v), remoteIDWords) }

// MarshalText returns String.
func (v RemoteID) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// UnmarshalText sets v by ParseRemoteID.
func (v *RemoteID) UnmarshalText(b []byte) (err error) {
	*v, err = ParseRemoteID(string(b))
	return err
}

// First returns the gateway's first address of a family, the zero Addr without one.
func (g *Gateway) First(is4 bool) netip.Addr {
	for _, p := range g.Addresses {
		if p.Addr().Is4() == is4 {
			return p.Addr()
		}
	}
	return netip.Addr{}
}

// Loopback returns the VRF's loopback of a family, the zero Addr without one.
func (v *VRF) Loopback(is4 bool) netip.Addr {
	for _, a := range v.Loopbacks {
		if a.Is4() == is4 {
			return a
		}
	}
	return netip.Addr{}
}

func (r *DHCPRelay) equal(o *DHCPRelay) bool {
	if r == nil || o == nil {
		return r == o
	}
	return slices.Equal(r.Servers, o.Servers) && r.CircuitID == o.CircuitID && r.RemoteID == o.RemoteID &&
		r.ServerIDOverride == o.ServerIDOverride && r.Trusted == o.Trusted
}
