package bgp

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/osrg/gobgp/v4/pkg/apiutil"
	"github.com/osrg/gobgp/v4/pkg/packet/bgp"

	"github.com/ztos/ztos/bgp/evpn"
	"github.com/ztos/ztos/bgp/route"
)

// Announce announces routes to all peers, or anew with other attributes. On an
// error for some the others are announced.
func (s *Speaker) Announce(routes []evpn.Route) error {
	return s.add(len(routes), bgp.RF_EVPN, func(i int) (bgp.NLRI, []bgp.PathAttributeInterface, error) {
		return route.Encode(routes[i])
	})
}

// Withdraw takes back routes that were announced; others are no error.
func (s *Speaker) Withdraw(keys []evpn.Key) error {
	return s.delete(len(keys), bgp.RF_EVPN, func(i int) (bgp.NLRI, error) { return route.NLRI(keys[i]) })
}

// AnnounceUnicast announces IPv4 and IPv6 routes to the peers that speak these
// families.
func (s *Speaker) AnnounceUnicast(routes []route.Unicast) error {
	return s.add(len(routes), 0, func(i int) (bgp.NLRI, []bgp.PathAttributeInterface, error) {
		return route.EncodeUnicast(routes[i])
	})
}

// WithdrawUnicast takes IPv4 and IPv6 routes back.
func (s *Speaker) WithdrawUnicast(prefixes []netip.Prefix) error {
	return s.delete(len(prefixes), 0, func(i int) (bgp.NLRI, error) { return route.UnicastNLRI(prefixes[i]) })
}

// SetInterest announces which route targets this node imports (RFC 4684), in
// place of those before; peers that have the family RTInterest send nothing else.
// Before the first call the Speaker asks for everything, as a route reflector has
// to: GoBGP does not let a client's routes go to a peer that has not asked.
// Routes without a route target, as those of Ethernet segments, GoBGP passes on to
// those only who ask for everything: so does a node that wants a segment's.
func (s *Speaker) SetInterest(i evpn.Interest) error {
	i.All = i.All || slices.ContainsFunc(i.RTs, evpn.RT.IsESImport)
	i.RTs = slices.DeleteFunc(slices.Clone(i.RTs), evpn.RT.IsESImport)
	s.apply.Lock()
	defer s.apply.Unlock()
	s.mu.Lock()
	have, all, asn, hop := s.member, s.all, s.config.ASN, s.config.RouterID
	s.mu.Unlock()
	wanted := make(map[evpn.RT]bool, len(i.RTs))
	var errs []error
	add := func(rt evpn.RT, all bool) {
		errs = append(errs, s.add(1, bgp.RF_RTC_UC, func(int) (bgp.NLRI, []bgp.PathAttributeInterface, error) {
			return route.Member(asn, rt, all, hop)
		}))
	}
	remove := func(rt evpn.RT, all bool) {
		errs = append(errs, s.delete(1, bgp.RF_RTC_UC, func(int) (bgp.NLRI, error) {
			n, _, err := route.Member(asn, rt, all, hop)
			return n, err
		}))
	}
	// What is new first: no route is withdrawn for a moment.
	if i.All && !all {
		add(evpn.RT{}, true)
	}
	for _, rt := range i.RTs {
		if wanted[rt] = true; !have[rt] {
			add(rt, false)
		}
	}
	for rt := range have {
		if !wanted[rt] {
			remove(rt, false)
		}
	}
	if all && !i.All {
		remove(evpn.RT{}, true)
	}
	s.mu.Lock()
	s.member, s.all = wanted, i.All
	s.mu.Unlock()
	return errors.Join(errs...)
}

// chunk bounds how many routes GoBGP takes at once: sessions wait meanwhile.
const chunk = 1000

// add hands n routes to GoBGP. family 0: as the NLRI says.
func (s *Speaker) add(n int, family bgp.Family, fn func(i int) (bgp.NLRI, []bgp.PathAttributeInterface, error)) error {
	var errs []error
	paths := make([]*apiutil.Path, 0, min(n, chunk))
	for i := range n {
		nlri, attrs, err := fn(i)
		if err != nil {
			errs = append(errs, err)
		} else {
			paths = append(paths, &apiutil.Path{Family: familyOf(family, nlri), Nlri: nlri, Attrs: attrs})
		}
		if len(paths) == chunk || i == n-1 && len(paths) > 0 {
			if _, err := s.gobgp.AddPath(apiutil.AddPathRequest{Paths: paths}); err != nil {
				errs = append(errs, s.failed("announce", err))
			}
			paths = paths[:0]
		}
	}
	return errors.Join(errs...)
}

// delete takes n routes from GoBGP.
func (s *Speaker) delete(n int, family bgp.Family, fn func(i int) (bgp.NLRI, error)) error {
	var errs []error
	paths := make([]*apiutil.Path, 0, min(n, chunk))
	for i := range n {
		nlri, err := fn(i)
		if err != nil {
			errs = append(errs, err)
		} else {
			paths = append(paths, &apiutil.Path{Family: familyOf(family, nlri), Nlri: nlri, Withdrawal: true})
		}
		if len(paths) == chunk || i == n-1 && len(paths) > 0 {
			if err := s.gobgp.DeletePath(apiutil.DeletePathRequest{Paths: paths}); err != nil {
				errs = append(errs, s.failed("withdraw", err))
			}
			paths = paths[:0]
		}
	}
	return errors.Join(errs...)
}

func familyOf(f bgp.Family, n bgp.NLRI) bgp.Family {
	if p, ok := n.(*bgp.IPAddrPrefix); ok && f == 0 {
		return route.UnicastFamily(p.Prefix)
	}
	return f
}

func (s *Speaker) failed(what string, err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || errors.Is(err, context.Canceled) {
		return ErrClosed
	}
	return fmt.Errorf("bgp: %s: %w", what, err)
}
