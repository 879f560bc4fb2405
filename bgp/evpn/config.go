package evpn

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/ztos/ztos/engine/table"
)

// Defaults of RFC 7432 sections 15.1 and 8.5 and of RFC 9161 section 3.7, and a
// bound on ECMP.
const (
	DefaultMoves    = 5
	DefaultWindow   = int64(180e9)
	DefaultDFWait   = int64(3e9)
	DefaultHold     = int64(540e9)
	DefaultMaxPaths = 64
)

// VRFID is a handle of a VRF that control hands out; 0 is none.
type VRFID uint32

// Config is what a speaker works by. Speaker.Configure takes it whole and finds
// what changed.
type Config struct {
	VTEP     netip.Addr // this node's, next hop of all it announces
	RouterID netip.Addr // IPv4; administrator of the segments' RDs

	// AssumeVXLAN takes a route without encapsulation community for VXLAN; RFC
	// 8365 section 5.1.3 allows to configure that, and means MPLS otherwise.
	AssumeVXLAN bool
	// Members asks for Changes.Members: which VTEP is in which VNI, from all
	// routes, imported or not. Spines want it.
	Members bool

	Duplicates Duplicates
	DFWait     int64 // ns between a segment's coming up and its election; 0: DefaultDFWait
	MaxPaths   int   // next hops of a prefix at most; 0: DefaultMaxPaths

	BDs      []BD
	VRFs     []VRF
	Segments []EthernetSegment

	// Grants says what each VTEP may announce; a VTEP that is not in it may
	// announce nothing. nil: no limit.
	Grants map[netip.Addr]Grant
}

// Duplicates is when a MAC counts as duplicate (RFC 7432 section 15.1), and an IP
// address (RFC 9161 section 3.7).
type Duplicates struct {
	Moves   int   // N; 0: DefaultMoves
	Window  int64 // M, ns; 0: DefaultWindow
	Release int64 // ns until a MAC is tried again; 0: only by command
	Hold    int64 // ns until an address is; 0: DefaultHold
}

// BD is a bridge domain of this node: one VNI, one EVI.
type BD struct {
	VNI    table.VNI
	RD     RD
	Import []Import
	Export []RT
	// Tag is the Ethernet tag: 0 for a VLAN-based service (RFC 8365 section
	// 5.1.3). Only routes with this tag are taken.
	Tag uint32
	// ElectionTag is V of the DF election; 0: the VNI.
	ElectionTag uint32
	VRF         VRFID // whose gateway serves the BD; 0: none
	// Asymmetric leaves L3VNI, the VRF's route targets and Router's MAC out of
	// what is announced (RFC 9135 section 6). What is received decides for itself.
	Asymmetric bool
}

// VRF is a routing domain of this node.
type VRF struct {
	ID        VRFID
	VNI       table.VNI // L3VNI
	RD        RD
	Import    []Import
	Export    []RT
	RouterMAC table.MAC // of this node
}

// EthernetSegment is a segment that this node is attached to.
type EthernetSegment struct {
	ESI          ESI
	SingleActive bool
	DF           DFElection  // as configured; Present is ignored
	VNIs         []table.VNI // bridge domains with an attachment circuit on it
}

// Grant is what a VTEP may announce.
type Grant struct {
	VNIs map[table.VNI]bool // L2VNIs and L3VNIs
	// MACs limits the MACs in a VNI. A VNI that is not in it has no limit.
	MACs map[table.VNI]map[table.MAC]bool
}

// withDefaults returns c with its zeros filled.
func (c Config) withDefaults() Config {
	if c.Duplicates.Moves == 0 {
		c.Duplicates.Moves = DefaultMoves
	}
	if c.Duplicates.Window == 0 {
		c.Duplicates.Window = DefaultWindow
	}
	if c.Duplicates.Hold == 0 {
		c.Duplicates.Hold = DefaultHold
	}
	if c.DFWait == 0 {
		c.DFWait = DefaultDFWait
	}
	if c.MaxPaths == 0 {
		c.MaxPaths = DefaultMaxPaths
	}
	return c
}

// Validate returns all that is wrong, each with the path of its field.
func (c *Config) Validate() error {
	var faults []error
	bad := func(format string, args ...any) {
		faults = append(faults, fmt.Errorf("evpn: "+format, args...))
	}
	if !unicast(c.VTEP) {
		bad("VTEP %q: want a unicast address", c.VTEP)
	}
	if !c.RouterID.Is4() {
		bad("RouterID %q: want an IPv4 address", c.RouterID)
	}
	if c.Duplicates.Moves < 0 || c.Duplicates.Window < 0 || c.Duplicates.Release < 0 ||
		c.Duplicates.Hold < 0 {
		bad("Duplicates: negative")
	}
	if c.DFWait < 0 || c.MaxPaths < 0 {
		bad("DFWait, MaxPaths: negative")
	}
	vnis, rds := map[table.VNI]string{}, map[RD]string{}
	unique := func(path string, vni table.VNI, rd RD) {
		if vni == 0 || vni > table.MaxVNI {
			bad("%s.VNI: %d is not 1 to %d", path, vni, table.MaxVNI)
		}
		if other, ok := vnis[vni]; ok {
			bad("%s.VNI: %d is used by %s too", path, vni, other)
		}
		if other, ok := rds[rd]; ok {
			bad("%s.RD: %s is used by %s too", path, rd, other)
		}
		vnis[vni], rds[rd] = path, path
	}
	vrfs := map[VRFID]bool{}
	for i := range c.VRFs {
		v, path := &c.VRFs[i], fmt.Sprintf("VRFs[%d]", i)
		unique(path, v.VNI, v.RD)
		if v.ID == 0 || vrfs[v.ID] {
			bad("%s.ID: %d is 0 or used twice", path, v.ID)
		}
		if v.RouterMAC == 0 || v.RouterMAC.IsMulticast() {
			bad("%s.RouterMAC: %s is no unicast MAC", path, v.RouterMAC)
		}
		vrfs[v.ID] = true
	}
	bds := map[table.VNI]bool{}
	for i := range c.BDs {
		b, path := &c.BDs[i], fmt.Sprintf("BDs[%d]", i)
		unique(path, b.VNI, b.RD)
		if b.VRF != 0 && !vrfs[b.VRF] {
			bad("%s.VRF: there is no VRF %d", path, b.VRF)
		}
		if b.Tag == MaxTag {
			bad("%s.Tag: %d is reserved", path, b.Tag)
		}
		bds[b.VNI] = true
	}
	esis := map[ESI]bool{}
	for i := range c.Segments {
		s, path := &c.Segments[i], fmt.Sprintf("Segments[%d]", i)
		if s.ESI.IsZero() || s.ESI == MaxESI || esis[s.ESI] {
			bad("%s.ESI: %s is reserved or used twice", path, s.ESI)
		}
		esis[s.ESI] = true
		if s.DF.Alg > DFLowest {
			bad("%s.DF.Alg: %d is not 0 to %d", path, s.DF.Alg, DFLowest)
		}
		for _, vni := range s.VNIs {
			if !bds[vni] {
				bad("%s.VNIs: there is no BD %d", path, vni)
			}
		}
	}
	for vtep := range c.Grants {
		if !unicast(vtep) {
			bad("Grants[%q]: want a unicast address", vtep)
		}
	}
	return errors.Join(faults...)
}

// unicast reports whether a can be a host's or node's address.
func unicast(a netip.Addr) bool {
	return a.IsValid() && !a.IsUnspecified() && !a.IsMulticast() && !a.Is4In6() && a.Zone() == "" &&
		a != netip.AddrFrom4([4]byte{255, 255, 255, 255})
}

// grant returns nothing when vtep may announce vni, else why not.
func (c *Config) grant(vtep netip.Addr, vni table.VNI) Reason {
	if c.Grants == nil {
		return 0
	}
	if g, ok := c.Grants[vtep]; !ok || !g.VNIs[vni] {
		return ReasonVNIGrant
	}
	return 0
}

// grantMAC returns nothing when vtep may announce mac in vni, where it may be.
func (c *Config) grantMAC(vtep netip.Addr, vni table.VNI, mac table.MAC) Reason {
	if c.Grants == nil {
		return 0
	}
	if macs, ok := c.Grants[vtep].MACs[vni]; ok && !macs[mac] {
		return ReasonMACGrant
	}
	return 0
}
