package evpn

import (
	"bytes"
	"cmp"
	"net/netip"
)

// newer reports whether sequence number a comes after b. Numbers wrap, which RFC
// 7432 section 15 demands to handle: of two, the one that is less than half the
// circle ahead is newer. Exactly half is not newer either way; compareMobility
// then falls to the next rule.
func newer(a, b uint32) bool { return int32(a-b) > 0 }

// compareMobility compares two claims to one MAC and returns less than 0 when a
// is the better: sticky first (RFC 7432 section 15.2), then the newer sequence
// number, then the lower VTEP ("the PE with the lowest IP address").
func compareMobility(a, b *path) int {
	if a.fixed() != b.fixed() {
		if a.fixed() {
			return -1
		}
		return 1
	}
	switch {
	case newer(a.seq, b.seq):
		return -1
	case newer(b.seq, a.seq):
		return 1
	}
	return a.attrs.nextHop.Compare(b.attrs.nextHop)
}

// comparePreference compares what BGP says of two paths up to the point from
// which on it is a matter of tie-breaks: paths that are equal here share the
// load. RFC 4271 section 9.1.2, RFC 9494 section 4.3 for stale ones.
func comparePreference(a, b *path) int {
	x, y := a.attrs, b.attrs
	if x.stale != y.stale {
		if y.stale {
			return -1
		}
		return 1
	}
	p, q := &x.preference, &y.preference
	if c := cmp.Compare(q.LocalPref, p.LocalPref); c != 0 {
		return c
	}
	if c := cmp.Compare(p.ASPathLen, q.ASPathLen); c != 0 {
		return c
	}
	if c := cmp.Compare(p.Origin, q.Origin); c != 0 {
		return c
	}
	if p.NeighbourAS == q.NeighbourAS {
		if c := cmp.Compare(p.MED, q.MED); c != 0 {
			return c
		}
	}
	if a.peer.IBGP != b.peer.IBGP {
		if b.peer.IBGP {
			return -1
		}
		return 1
	}
	return 0
}

// comparePaths compares two paths of one key. Mobility comes first: of one
// announcer's MAC that came by two ways, the newer is the truth.
func comparePaths(a, b *path) int {
	if a.dest.key.Kind == MACIP {
		if a.fixed() != b.fixed() || a.seq != b.seq {
			if c := compareMobility(a, b); c != 0 {
				return c
			}
		}
	}
	if c := comparePreference(a, b); c != 0 {
		return c
	}
	if c := originator(a).Compare(originator(b)); c != 0 {
		return c
	}
	if c := cmp.Compare(a.attrs.preference.ClusterLen, b.attrs.preference.ClusterLen); c != 0 {
		return c
	}
	if c := a.peer.Addr.Compare(b.peer.Addr); c != 0 {
		return c
	}
	return cmp.Compare(a.peer.ID, b.peer.ID)
}

// originator is what stands for the BGP identifier in the tie-break.
func originator(p *path) netip.Addr {
	if o := p.attrs.preference.Originator; o.IsValid() {
		return o
	}
	return p.peer.RouterID
}

// compareKeys orders keys of one kind, to break ties in the same way everywhere.
func compareKeys(a, b *Key) int {
	if c := bytes.Compare(a.RD[:], b.RD[:]); c != 0 {
		return c
	}
	if c := cmp.Compare(a.MAC, b.MAC); c != 0 {
		return c
	}
	if c := a.IP.Compare(b.IP); c != 0 {
		return c
	}
	return cmp.Compare(a.Tag, b.Tag)
}
