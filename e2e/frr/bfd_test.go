//go:build netns

package frr_test

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/ztos/ztos/engine/port/nstest"
	"github.com/ztos/ztos/fabric/bfd"
	"github.com/ztos/ztos/fabric/bfdnet"
)

// bfdConf is FRR's bfdd with a session of one hop of each family, and one over
// several hops. The times are long, so that a loaded machine makes no failure.
const bfdConf = `bfd
 profile fast
  receive-interval 100
  transmit-interval 100
  detect-multiplier 5
 exit
 peer 192.0.2.1
  profile fast
 exit
 peer 2001:db8::1 local-address 2001:db8::2
  profile fast
 exit
 peer 192.0.2.1 multihop local-address 192.0.2.2
  profile fast
  minimum-ttl 254
 exit
exit
`

// frrPeer is a session as FRR tells of it; times in ms.
type frrPeer struct {
	Peer       string `json:"peer"`
	Multihop   bool   `json:"multihop"`
	Status     string `json:"status"`
	Diagnostic string `json:"diagnostic"`
	RemoteDiag string `json:"remote-diagnostic"`
	RemoteRx   int    `json:"remote-receive-interval"`
	RemoteTx   int    `json:"remote-transmit-interval"`
	RemoteMult int    `json:"remote-detect-multiplier"`
}

// bfdPeer returns a session of FRR.
func (r *router) bfdPeer(c *bfd.Config) (found frrPeer) {
	out, err := r.vtysh("bfdd", "show bfd peers json")
	if err != nil {
		return found
	}
	var ps []frrPeer
	if err := json.Unmarshal([]byte(out), &ps); err != nil {
		r.t.Fatalf("%v\n%s", err, out)
	}
	for _, p := range ps {
		if p.Peer == c.Local.String() && p.Multihop == c.Multihop() {
			return p
		}
	}
	return found
}

// bfdNode is a Service whose events are followed.
type bfdNode struct {
	*bfdnet.Service
	t      testing.TB
	events chan bfd.Event
}

func newBFDNode(t testing.TB, ns *nstest.NS, cs []bfd.Config) *bfdNode {
	t.Helper()
	n := &bfdNode{t: t, events: make(chan bfd.Event, 1000)}
	n.Service = bfdnet.New(func(at netip.AddrPort) (s bfdnet.Socket, err error) {
		ns.Do(func() { s, err = bfdnet.Kernel(at) })
		return s, err
	}, func(es []bfd.Event) {
		for _, e := range es {
			n.events <- e
		}
	})
	t.Cleanup(n.Close)
	n.apply(cs)
	return n
}

func (n *bfdNode) apply(cs []bfd.Config) {
	n.t.Helper()
	if err := n.Apply(cs); err != nil {
		n.t.Fatal(err)
	}
}

// await waits until n sessions have entered a state.
func (n *bfdNode) await(to bfd.State, sessions int) (last bfd.Event) {
	n.t.Helper()
	names := map[string]bool{}
	for timeout := time.After(limit); len(names) < sessions; {
		select {
		case e := <-n.events:
			if e.To == to {
				names[e.Name] = true
				last = e
			}
		case <-timeout:
			st, strangers, _ := n.Status()
			n.t.Fatalf("not %v: %v of %d; %+v, %v", to, names, sessions, st, strangers)
		}
	}
	return last
}

// TestBFD: sessions with FRR's bfdd: of one hop, of both families, and over several;
// timers that change, switches at either end, and bfdd dying.
func TestBFD(t *testing.T) {
	us, them := nstest.New(t), nstest.New(t)
	nstest.Veth(t, us, "e0", them, "e1")
	for _, x := range []struct {
		ns        *nstest.NS
		dev, a, b string
	}{{us, "e0", "192.0.2.1/24", "2001:db8::1/64"}, {them, "e1", "192.0.2.2/24", "2001:db8::2/64"}} {
		x.ns.Set("ipv6/conf/"+x.dev+"/disable_ipv6", "0")
		x.ns.IP("addr add " + x.a + " dev " + x.dev)
		x.ns.IP("addr add " + x.b + " dev " + x.dev + " nodad")
	}
	r := newZebra(t, them)
	start := func() {
		t.Helper()
		r.start("bfdd", bfdConf, "--bfdctl", filepath.Join(r.dir, "bfdd.sock"))
	}
	start()
	six := netip.MustParseAddr
	cs := []bfd.Config{
		{Name: "one", Local: ours, Remote: theirs, Hops: 1},
		{Name: "six", Local: six("2001:db8::1"), Remote: six("2001:db8::2"), Hops: 1},
		{Name: "far", Local: ours, Remote: theirs, Hops: 2},
	}
	for i := range cs {
		cs[i].Tx, cs[i].Rx, cs[i].Mult = 100e6, 100e6, 5
	}
	n := newBFDNode(t, us, cs)
	n.await(bfd.Up, 3)
	agreed := func(tx, rx, mult int, detection int64) {
		t.Helper()
		r.until(fmt.Sprintf("both sides have agreed on %d/%d ms x %d", tx, rx, mult), func() bool {
			st, _, _ := n.Status()
			for i := range cs {
				p := r.bfdPeer(&cs[i])
				if p.Status != "up" || p.RemoteTx != tx || p.RemoteRx != rx || p.RemoteMult != mult || st[i].Detection != detection || st[i].Poll {
					return false
				}
			}
			return true
		})
	}
	agreed(100, 100, 5, 500e6)

	// Our timers change by a poll, and the sessions stay up.
	slower := append([]bfd.Config(nil), cs...)
	for i := range slower {
		slower[i].Tx, slower[i].Rx, slower[i].Mult = 120e6, 200e6, 6
	}
	n.apply(slower)
	agreed(120, 200, 6, 1000e6)
	n.apply(cs)
	agreed(100, 100, 5, 500e6)
	st, _, _ := n.Status()
	for _, s := range st {
		if s.Stats[bfd.WentDown] != 0 {
			t.Errorf("%s went down when timers changed: %+v", s.Name, s)
		}
	}

	// Switched off there: no failure here. And on.
	shutdown := func(no string) {
		t.Helper()
		if out, err := r.vtysh("bfdd", "configure terminal", "bfd", "peer 192.0.2.1", no+"shutdown"); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	shutdown("")
	if e := n.await(bfd.Down, 1); e.Name != "one" || e.Failed() || !e.TheirAdmin {
		t.Errorf("%+v, want no failure", e)
	}
	shutdown("no ")
	if e := n.await(bfd.Up, 1); e.Name != "one" {
		t.Errorf("%+v", e)
	}
	// Switched off here.
	off := append([]bfd.Config(nil), cs...)
	off[0].Down = true
	n.apply(off)
	r.until("FRR sees it", func() bool { p := r.bfdPeer(&cs[0]); return p.Status == "down" })
	n.apply(cs)
	n.await(bfd.Up, 1)
	agreed(100, 100, 5, 500e6)

	// bfdd dies without a word. The bound is for a loaded machine.
	began := time.Now()
	r.kill("bfdd", syscall.SIGKILL)
	e := n.await(bfd.Down, 3)
	took := time.Since(began)
	t.Logf("3 sessions are down %v after bfdd was killed, at a detection time of 500 ms", took)
	if !e.Failed() || e.Diag != bfd.DiagExpired || took > 5*time.Second {
		t.Errorf("%+v after %v, want a failure by expiry", e, took)
	}
	start()
	n.await(bfd.Up, 3)
	// We end: FRR need not wait.
	n.Close()
	r.until("FRR sees that the node has gone", func() bool {
		p := r.bfdPeer(&cs[0])
		return p.Status == "down" && p.RemoteDiag == "path down"
	})
}
