//go:build netns

package frr_test

import (
	"context"
	"net"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ztos/ztos/bgp"
	"github.com/ztos/ztos/bgp/evpn"
	"github.com/ztos/ztos/bgp/relay"
	"github.com/ztos/ztos/engine/port/nstest"
)

// inNS is a Transport of the kernel in a namespace.
type inNS struct {
	relay.Kernel
	ns *os.File
}

func newInNS(t testing.TB, ns *nstest.NS) inNS {
	t.Helper()
	var f *os.File
	var err error
	ns.Do(func() { f, err = os.Open("/proc/thread-self/ns/net") })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return inNS{ns: f}
}

// do runs fn on a thread that is in the namespace, and ends with it.
func (n inNS) do(fn func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked
		if err := unix.Setns(int(n.ns.Fd()), unix.CLONE_NEWNET); err != nil {
			done <- err
			return
		}
		done <- fn()
	}()
	return <-done
}

func (n inNS) Listen(at netip.AddrPort, device string) (l relay.Listener, err error) {
	err = n.do(func() (err error) { l, err = n.Kernel.Listen(at, device); return err })
	return l, err
}

func (n inNS) Dial(ctx context.Context, from netip.Addr, to netip.AddrPort, g relay.Guard) (c net.Conn, err error) {
	err = n.do(func() (err error) { c, err = n.Kernel.Dial(ctx, from, to, g); return err })
	return c, err
}

// node is a Speaker in a namespace, with its events followed.
type node struct {
	*bgp.Speaker
	t    testing.TB
	conf bgp.Config
	seen []bgp.Event
}

func newNode(t testing.TB, ns *nstest.NS, c bgp.Config) *node {
	t.Helper()
	s, err := bgp.New(t.Context(), c, newInNS(t, ns), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return &node{Speaker: s, t: t, conf: c}
}

// await waits for an event that fn accepts, which it then forgets. Routes come one
// by one.
func (n *node) await(what string, fn func(bgp.Event) bool) bgp.Event {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	for {
		for i, e := range n.seen {
			if fn(e) {
				n.seen = slices.Delete(n.seen, i, i+1)
				return e
			}
		}
		more, err := n.Next(ctx)
		if err != nil {
			st, _ := n.Status(context.Background())
			n.t.Fatalf("no %s came: %v; seen %+v; status %+v", what, err, n.seen, st)
		}
		for _, e := range more {
			for _, u := range e.Routes {
				n.seen = append(n.seen, bgp.Event{Peer: e.Peer, Routes: []evpn.Update{u}})
			}
			if e.Routes == nil {
				n.seen = append(n.seen, e)
			}
		}
	}
}

func (n *node) up() *bgp.Up {
	n.t.Helper()
	return n.await("session up", func(e bgp.Event) bool { return e.Up != nil }).Up
}

func (n *node) down() *bgp.Down {
	n.t.Helper()
	return n.await("session down", func(e bgp.Event) bool { return e.Down != nil }).Down
}

// route waits for a route that fn accepts.
func (n *node) route(what string, fn func(evpn.Update) bool) (found evpn.Update) {
	n.t.Helper()
	n.await(what, func(e bgp.Event) bool {
		for _, u := range e.Routes {
			if fn(u) {
				found = u
				return true
			}
		}
		return false
	})
	return found
}
