package routes

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"

	"github.com/ztos/ztos/lab/netplumb"
)

// site is namespaces: of the leaf, of the speaker, and perhaps of hosts.
type site struct{ leaf, peer, h1, h2 string }

// mtu of the site's links, bytes.
const mtu = 1500

// link is a veth pair: device dev of the leaf, and of another namespace, with
// addresses where they have any.
type link struct {
	dev, ns, peer string
	here, there   string
	via           string // default route of the other namespace
}

// newSite makes the namespaces and links of a leaf. name tells sites apart.
func newSite(name string, hosts bool) (_ *site, err error) {
	pre := fmt.Sprintf("ztos-routes-%d-%s-", os.Getpid(), name)
	s := &site{leaf: pre + "leaf", peer: pre + "peer"}
	links := []link{{dev: "e0", ns: s.peer, peer: "p0", here: leaf.String() + "/24", there: speaker.String() + "/24"}}
	if hosts {
		s.h1, s.h2 = pre+"h1", pre+"h2"
		links = append(links,
			link{dev: "t1", ns: s.h1, peer: "h0", there: "10.1.1.11/24", via: "10.1.1.1"},
			link{dev: "t2", ns: s.h2, peer: "h0", there: host2.String() + "/24", via: "10.1.2.1"})
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("routes: %w", err), s.close())
		}
	}()
	for _, ns := range s.names() {
		if err := netplumb.Create(ns); err != nil {
			return nil, err
		}
	}
	for _, l := range links {
		if err := s.plug(l); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// host2 is where the stream goes.
var host2 = netip.MustParseAddr("10.1.2.11")

func (s *site) names() (out []string) {
	for _, n := range []string{s.leaf, s.peer, s.h1, s.h2} {
		if n != "" {
			out = append(out, n)
		}
	}
	return out
}

func (s *site) plug(l link) error {
	here, err := netplumb.Open(s.leaf)
	if err != nil {
		return err
	}
	defer here.Close()
	there, err := netplumb.Open(l.ns)
	if err != nil {
		return err
	}
	defer there.Close()
	if err := here.AddVeth(netplumb.End{Dev: l.dev}, there, netplumb.End{Dev: l.peer}, mtu); err != nil {
		return err
	}
	for _, e := range []struct {
		ns        *netplumb.Namespace
		dev, addr string
	}{{here, l.dev, l.here}, {there, l.peer, l.there}} {
		if e.addr != "" {
			if err := e.ns.AddAddr(e.dev, netip.MustParsePrefix(e.addr)); err != nil {
				return err
			}
		}
		if err := e.ns.SetUp(e.dev, true); err != nil {
			return err
		}
	}
	if l.via == "" {
		return nil
	}
	return there.AddRoute(netip.MustParsePrefix("0.0.0.0/0"), netip.MustParseAddr(l.via))
}

// ping returns nil when a host answers another.
func (s *site) ping(_ context.Context) error {
	_, err := netplumb.Output(s.h1, "ping", "-n", "-c", "1", "-W", "1", host2.String())
	return err
}

// close takes the namespaces away.
func (s *site) close() error {
	var errs []error
	for _, ns := range s.names() {
		if netplumb.Exists(ns) {
			errs = append(errs, netplumb.Delete(ns))
		}
	}
	return errors.Join(errs...)
}
