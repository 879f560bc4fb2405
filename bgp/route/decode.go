package route

import (
	"fmt"
	"net/netip"

	"github.com/osrg/gobgp/v4/pkg/packet/bgp"

	"github.com/ztos/ztos/bgp/evpn"
	"github.com/ztos/ztos/engine/table"
)

// defaultLocalPref is the LOCAL_PREF of a path that has none (as from an eBGP
// peer).
const defaultLocalPref = 100

// Decoder turns GoBGP's paths into routes. Routes of one UPDATE share their path
// attributes, and the decoder remembers the last ones it met. Its zero value is
// ready; it is for one goroutine.
type Decoder struct {
	// The attribute that was decoded last, and what it gave. GoBGP does not
	// change an attribute that it has handed out.
	ext   *bgp.PathAttributeExtendedCommunities
	attrs evpn.Attrs
}

// Decode returns the route of an NLRI and its path attributes. Its route targets
// are shared with other routes of the same UPDATE and must not be changed.
//
// Errors wrap ErrNLRI.
func (d *Decoder) Decode(n bgp.NLRI, attrs []bgp.PathAttributeInterface) (evpn.Route, error) {
	key, err := Key(n)
	if err != nil {
		return evpn.Route{}, err
	}
	r := evpn.Route{Key: key, Attrs: d.communities(attrs)}
	a := &r.Attrs
	a.Preference.LocalPref = defaultLocalPref
	for _, x := range attrs {
		switch x := x.(type) {
		case *bgp.PathAttributeMpReachNLRI:
			a.NextHop = x.Nexthop.Unmap()
		case *bgp.PathAttributePmsiTunnel:
			a.PMSI = pmsiFrom(x)
		case *bgp.PathAttributeCommunities:
			for _, c := range x.Value {
				switch c {
				case uint32(bgp.COMMUNITY_LLGR_STALE):
					a.Stale = true
				case uint32(bgp.COMMUNITY_NO_LLGR):
					a.NoStale = true
				}
			}
		default:
			prefer(x, &a.Preference)
		}
	}
	if !a.NextHop.IsValid() {
		return evpn.Route{}, fmt.Errorf("%w: %v without next hop", ErrNLRI, key)
	}
	inNLRI(n.(*bgp.EVPNNLRI), a)
	return r, nil
}

// communities returns what the extended communities among attrs say.
func (d *Decoder) communities(attrs []bgp.PathAttributeInterface) evpn.Attrs {
	for _, x := range attrs {
		ext, ok := x.(*bgp.PathAttributeExtendedCommunities)
		if !ok {
			continue
		}
		if ext == d.ext {
			return d.attrs
		}
		var a evpn.Attrs
		for _, c := range ext.Value {
			// GoBGP has parsed what it serializes here.
			if b, err := c.Serialize(); err == nil && len(b) == 8 {
				community([8]byte(b), &a)
			}
		}
		d.ext, d.attrs = ext, a
		return a
	}
	return evpn.Attrs{}
}

// prefer puts an attribute that best path selection looks at into p.
func prefer(x bgp.PathAttributeInterface, p *evpn.Preference) {
	switch x := x.(type) {
	case *bgp.PathAttributeLocalPref:
		p.LocalPref = x.Value
	case *bgp.PathAttributeOrigin:
		p.Origin = x.Value
	case *bgp.PathAttributeMultiExitDisc:
		p.MED = x.Value
	case *bgp.PathAttributeOriginatorId:
		p.Originator = x.Value
	case *bgp.PathAttributeClusterList:
		p.ClusterLen = uint8(min(len(x.Value), 255))
	case *bgp.PathAttributeAsPath:
		for i, seg := range x.Value {
			p.ASPathLen += uint16(min(seg.ASLen(), 1<<15)) // a set counts 1
			if as := seg.GetAS(); i == 0 && seg.GetType() == bgp.BGP_ASPATH_ATTR_TYPE_SEQ && len(as) > 0 {
				p.NeighbourAS = as[0]
			}
		}
	}
}

func pmsiFrom(x *bgp.PathAttributePmsiTunnel) evpn.PMSI {
	p := evpn.PMSI{Present: true, Type: uint8(x.TunnelType), VNI: table.VNI(x.Label)}
	if x.IsLeafInfoRequired {
		p.Flags = 1
	}
	if id, ok := x.TunnelID.(*bgp.IngressReplTunnelID); ok {
		p.Endpoint = id.Value.Unmap()
	}
	return p
}

func pmsiTo(p evpn.PMSI) (bgp.PathAttributeInterface, error) {
	if p.Type != evpn.PMSIIngressReplication || !p.Endpoint.IsValid() {
		return nil, fmt.Errorf("bgp/route: PMSI tunnel type %d, endpoint %v: only ingress replication to an address is announced", p.Type, p.Endpoint)
	}
	return bgp.NewPathAttributePmsiTunnel(bgp.PMSI_TUNNEL_TYPE_INGRESS_REPL, p.Flags&1 != 0, uint32(p.VNI),
		&bgp.IngressReplTunnelID{Value: p.Endpoint}), nil
}

// addrs that a next hop may not be.
func usable(a netip.Addr) bool { return a.IsValid() && !a.IsUnspecified() && !a.IsMulticast() }
