package trace

import "fmt"

// Stage names a point on the forwarding path at which frames can be watched.
type Stage uint8

// Stages, in the order in which a frame meets them: leaf in, spine, leaf out.
const (
	PortRx         Stage = iota + 1 // tenant frame as the port handed it over
	Access                          // after VLAN tags were taken off
	Bridge                          // after the forwarding decision
	Route                           // after the gateway routed it: rewritten
	MACsecProtect                   // Ethernet frame after protection
	VXLANEncap                      // outer IP packet before WireGuard
	WireGuardSeal                   // WireGuard message, with underlay addresses
	UnderlayRx                      // UDP payload as received
	WireGuardOpen                   // outer IP packet after WireGuard
	OuterRoute                      // outer IP packet that is routed on by a spine
	VXLANDecap                      // Ethernet frame inside VXLAN, still protected
	MACsecValidate                  // tenant frame after validation
	PortTx                          // tenant frame as given to a port, perhaps merged
	HostIn                          // IP packet for the node itself
	HostOut                         // IP packet from the node itself
	numStages
)

// NumStages is the number of stages plus one: the length of an array indexed by
// Stage.
const NumStages = int(numStages)

// Kind says what the bytes of a stage start with.
type Kind uint8

// Kinds of bytes.
const (
	Ethernet   Kind = iota + 1 // from the destination MAC
	IP                         // from the IPv4 or IPv6 header
	UDPPayload                 // the payload of an underlay datagram
)

var stages = [NumStages]struct {
	name string
	kind Kind
}{
	PortRx:         {"port-rx", Ethernet},
	Access:         {"access", Ethernet},
	Bridge:         {"bridge", Ethernet},
	Route:          {"route", Ethernet},
	MACsecProtect:  {"macsec-protect", Ethernet},
	VXLANEncap:     {"vxlan-encap", IP},
	WireGuardSeal:  {"wireguard-seal", UDPPayload},
	UnderlayRx:     {"underlay-rx", UDPPayload},
	WireGuardOpen:  {"wireguard-open", IP},
	OuterRoute:     {"outer-route", IP},
	VXLANDecap:     {"vxlan-decap", Ethernet},
	MACsecValidate: {"macsec-validate", Ethernet},
	PortTx:         {"port-tx", Ethernet},
	HostIn:         {"host-in", IP},
	HostOut:        {"host-out", IP},
}

// String returns the stage's stable name.
func (s Stage) String() string {
	if s == 0 || int(s) >= NumStages {
		return fmt.Sprintf("stage-%d", uint8(s))
	}
	return stages[s].name
}

// Kind returns what the stage's bytes start with; 0 for a value that is not a
// stage.
func (s Stage) Kind() Kind {
	if int(s) >= NumStages {
		return 0
	}
	return stages[s].kind
}

// ParseStage returns the stage with the given name.
func ParseStage(name string) (Stage, error) {
	for s := PortRx; s < numStages; s++ {
		if stages[s].name == name {
			return s, nil
		}
	}
	return 0, fmt.Errorf("trace: no stage %q; stages are %v", name, StageNames())
}

// StageNames returns the names of all stages in path order.
func StageNames() []string {
	names := make([]string, 0, NumStages-1)
	for s := PortRx; s < numStages; s++ {
		names = append(names, stages[s].name)
	}
	return names
}
