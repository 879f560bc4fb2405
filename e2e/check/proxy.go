package check

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/config/status"
	"github.com/ztos/ztos/engine/pkt"
	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/engine/wire"
	"github.com/ztos/ztos/l2/proxy"
	"github.com/ztos/ztos/lab"
)

// proxyMost is how long a leaf may take to learn an address and another to hear of
// it.
const proxyMost = 10 * time.Second

// shownNeighbour is a line of `ztosctl show arp` or `show nd` as a program reads it.
type shownNeighbour struct {
	VNI     table.VNI  `json:"vni"`
	Address netip.Addr `json:"address"`
	MAC     string     `json:"mac"`
	State   string     `json:"state"`
	Source  string     `json:"source"`
	VTEP    netip.Addr `json:"vtep"`
	Port    string     `json:"port"`
}

// Bindings is the result of Bench.Bindings.
type Bindings struct {
	Local  int    `json:"local"` // shown at the leaf where the host is
	Remote int    `json:"remote"`
	Line   string `json:"line"` // of a table
}

// Bindings wants every leaf to know every address of the first tenant's hosts: its
// own as local at their ports, the others' from EVPN behind their VTEPs, as JSON and
// in the table.
func (b *Bench) Bindings(ctx context.Context) (r Bindings, err error) {
	tenant := b.Topo.Tenants[0]
	for _, leaf := range b.kind(lab.Leaf) {
		for _, h := range b.Topo.Hosts(tenant.Name) {
			for _, p := range h.Host.Addresses {
				want := b.neighbourOf(leaf, h, p.Addr())
				if r.Line, err = b.awaitNeighbour(ctx, leaf, want); err != nil {
					return r, err
				}
				if want.Source == "local" {
					r.Local++
				} else {
					r.Remote++
				}
			}
		}
	}
	return r, nil
}

// neighbourOf returns how a leaf is to know an address of a host.
func (b *Bench) neighbourOf(leaf string, h *lab.Node, a netip.Addr) shownNeighbour {
	at, _ := b.Topo.Node(h.Host.Port.Node)
	n := shownNeighbour{VNI: b.Topo.Tenants[0].VNI, Address: a, MAC: h.Host.MAC.String(), Source: "evpn", VTEP: at.Address}
	if at.Name == leaf {
		n.Source, n.VTEP, n.Port = "local", netip.Addr{}, h.Host.Port.Dev
	}
	return n
}

// neighbours returns what a leaf shows of the hosts of a family.
func (b *Bench) neighbours(ctx context.Context, leaf string, a netip.Addr) (list []shownNeighbour, err error) {
	return list, b.ctlJSON(ctx, leaf, &list, "show", showOf(a))
}

func showOf(a netip.Addr) string {
	if a.Is4() {
		return "arp"
	}
	return "nd"
}

// awaitNeighbour waits until a leaf shows want, and returns its line of the table.
func (b *Bench) awaitNeighbour(ctx context.Context, leaf string, want shownNeighbour) (line string, err error) {
	err = eventually(ctx, proxyMost, func() error {
		list, err := b.neighbours(ctx, leaf, want.Address)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(list, func(n shownNeighbour) bool { return n.VNI == want.VNI && n.Address == want.Address })
		if i < 0 {
			return fmt.Errorf("%s does not know %v: %+v", leaf, want.Address, list)
		}
		n := list[i]
		if n.State = ""; n != want {
			return fmt.Errorf("%s has %+v, want %+v", leaf, n, want)
		}
		text, err := b.ctl(ctx, leaf, "show", showOf(want.Address))
		if err != nil {
			return err
		}
		at := want.Port + addrText(want.VTEP)
		for l := range strings.Lines(text) {
			f := strings.Fields(l) // VRF VNI ADDRESS MAC STATE SOURCE AT AGE
			if len(f) == 8 && f[2] == want.Address.String() && f[3] == want.MAC && f[5] == want.Source && f[6] == at {
				line = strings.TrimSpace(l)
				return nil
			}
		}
		return fmt.Errorf("%s: no line of %+v in\n%s", leaf, want, text)
	})
	return line, err
}

// proxyCounts returns what the proxy of the first tenant at a leaf did.
func (b *Bench) proxyCounts(ctx context.Context, leaf string) (map[string]uint64, error) {
	var e status.EVPN
	if err := b.ctlJSON(ctx, leaf, &e, "show", "evpn"); err != nil {
		return nil, err
	}
	for _, d := range e.Domains {
		if d.VNI == b.Topo.Tenants[0].VNI && d.Suppression != nil {
			out := map[string]uint64{}
			for _, c := range d.Suppression.Counts {
				out[c.Name] = c.Count
			}
			return out, nil
		}
	}
	return nil, fmt.Errorf("%s shows no proxy in VNI %d", leaf, b.Topo.Tenants[0].VNI)
}

// ears are taps at hosts that keep ARP and ND.
type ears struct {
	hosts []string
	taps  []*tap
}

// listen opens ears at hosts. Close them.
func (b *Bench) listen(hosts ...string) (e *ears, err error) {
	e = &ears{}
	for _, h := range hosts {
		t, err := b.tap(h, func(f frame) bool { _, ok := wordOf(f.data); return ok }, hostDev)
		if err != nil {
			return nil, errors.Join(err, e.close())
		}
		e.hosts, e.taps = append(e.hosts, h), append(e.taps, t)
	}
	return e, nil
}

func (e *ears) close() (err error) {
	for _, t := range e.taps {
		_, cerr := t.close()
		err = errors.Join(err, cerr)
	}
	return err
}

// heard returns the questions about an address that came in at host i.
func (e *ears) heard(i int, about netip.Addr) (n int) {
	e.taps[i].mu.Lock()
	defer e.taps[i].mu.Unlock()
	for _, f := range e.taps[i].frames {
		if w, _ := wordOf(f.data); !f.out && w.Ask && w.Target == about {
			n++
		}
	}
	return n
}

// wordOf decodes a frame of ARP or ND.
func wordOf(data []byte) (proxy.Word, bool) {
	f := pkt.Frame{Head: data, Len: len(data)}
	if wire.Parse(&f) != 0 || !proxy.IsWord(&f) {
		return proxy.Word{}, false
	}
	return proxy.Read(&f)
}

// ProxyAnswered is the result of Bench.ProxyAnswered.
type ProxyAnswered struct {
	Answered uint64 `json:"answered"` // questions, by the leaf's count
	Flooded  int    `json:"flooded"`  // that came to hosts of the other leaf
	Replies  int    `json:"replies"`  // at the asker, from the owner's MAC
}

// ProxyAnswered lets the first host forget its neighbours and ping a host of the
// other leaf, by IPv4 and IPv6: it must be answered by its own leaf, in the owner's
// name, and no host of the other leaf may hear a question.
func (b *Bench) ProxyAnswered(ctx context.Context) (r ProxyAnswered, err error) {
	hosts := b.Topo.Hosts(b.Topo.Tenants[0].Name)
	a1, b1, b2 := hosts[0], hosts[1], hosts[3]
	before, err := b.proxyCounts(ctx, a1.Host.Port.Node)
	if err != nil {
		return r, err
	}
	e, err := b.listen(a1.Name, b1.Name, b2.Name)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, e.close()) }()
	for _, p := range b1.Host.Addresses {
		if _, err := b.run(ctx, a1.Name, "ip", "neigh", "flush", "dev", hostDev); err != nil {
			return r, err
		}
		if _, err := b.ping(ctx, a1.Name, p.Addr(), pingOptions{count: 3}); err != nil {
			return r, err
		}
		owner := func(f frame) bool {
			w, _ := wordOf(f.data)
			return !f.out && w.Sender == p.Addr() && w.Says && w.MAC == b1.Host.MAC
		}
		if _, ok := e.taps[0].first(2*time.Second, owner); !ok {
			return r, fmt.Errorf("%s was not told who has %v", a1.Name, p.Addr())
		}
		r.Replies++
		for i := range e.hosts[1:] {
			r.Flooded += e.heard(1+i, p.Addr())
		}
	}
	now, err := b.proxyCounts(ctx, a1.Host.Port.Node)
	if err != nil {
		return r, err
	}
	r.Answered = now["answered"] - before["answered"]
	if r.Flooded > 0 || r.Answered < uint64(len(b1.Host.Addresses)) {
		return r, fmt.Errorf("%d questions were answered, want one a family; %d came to the other leaf's hosts, want none", r.Answered, r.Flooded)
	}
	return r, nil
}

// ProxyUnknown is the result of Bench.ProxyUnknown.
type ProxyUnknown struct {
	Flooded int    `json:"flooded"` // questions at the far host while they are flooded
	Passed  int    `json:"passed"`  // while they are dropped
	Dropped uint64 `json:"dropped"` // by the leaf's count of drops
}

// nobodyThere are addresses of the tenant that no host has.
var nobodyThere = []netip.Addr{netip.MustParseAddr("10.1.0.99"), netip.MustParseAddr("fd00:1::99")}

// ProxyUnknown asks for addresses that nobody has: the far hosts must hear that, and
// with `suppress-unknown: drop` not, while known addresses are answered as before.
func (b *Bench) ProxyUnknown(ctx context.Context) (r ProxyUnknown, err error) {
	hosts := b.Topo.Hosts(b.Topo.Tenants[0].Name)
	a1, b1 := hosts[0], hosts[1]
	leaf := a1.Host.Port.Node
	e, err := b.listen(b1.Name)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, e.close()) }()
	for _, a := range nobodyThere {
		if err := b.askUntil(ctx, a1, a, func() bool { return e.heard(0, a) > 0 }); err != nil {
			return r, fmt.Errorf("an unknown address is not flooded: %w", err)
		}
		r.Flooded += e.heard(0, a)
	}
	before, err := b.Drops(ctx, leaf)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, b.unedit(context.WithoutCancel(ctx), leaf)) }()
	if err := b.edit(ctx, leaf, func(c *config.Node) error {
		c.BridgeDomains[0].SuppressUnknown = config.UnknownDrop
		return nil
	}); err != nil {
		return r, err
	}
	pause(ctx, 200*time.Millisecond) // what was asked before has arrived
	base := e.heard(0, nobodyThere[0]) + e.heard(0, nobodyThere[1])
	for _, a := range nobodyThere {
		if err := b.askUntil(ctx, a1, a, func() bool {
			now, err := b.Drops(ctx, leaf)
			was := r.Dropped
			r.Dropped = now.since(before)["proxy-unknown"]
			return err == nil && r.Dropped > was
		}); err != nil {
			return r, fmt.Errorf("an unknown address is not dropped: %w", err)
		}
	}
	pause(ctx, 200*time.Millisecond)
	if r.Passed = e.heard(0, nobodyThere[0]) + e.heard(0, nobodyThere[1]) - base; r.Passed > 0 {
		return r, fmt.Errorf("%d questions passed that were to be dropped", r.Passed)
	}
	if _, err := b.run(ctx, a1.Name, "ip", "neigh", "flush", "dev", hostDev); err != nil {
		return r, err
	}
	p, err := b.ping(ctx, a1.Name, addr(b1, false), pingOptions{count: 3})
	if err == nil && p.Received == 0 {
		err = fmt.Errorf("%s does not reach %s any more", a1.Name, b1.Name)
	}
	return r, err
}

// askUntil lets a host ask for an address, again and again, until done.
func (b *Bench) askUntil(ctx context.Context, h *lab.Node, a netip.Addr, done func() bool) error {
	return eventually(ctx, proxyMost, func() error {
		if err := b.say(h, question(h, a, addr(h, a.Is6()))); err != nil {
			return err
		}
		pause(ctx, 50*time.Millisecond)
		if !done() {
			return fmt.Errorf("%s asked for %v and nothing came of it", h.Name, a)
		}
		return nil
	})
}

// say lets a host send frames.
func (b *Bench) say(h *lab.Node, frames ...[]byte) error {
	t, err := b.tap(h.Name, func(frame) bool { return false }, hostDev)
	if err != nil {
		return err
	}
	sendErr := t.send(hostDev, frames...)
	_, err = t.close()
	return errors.Join(sendErr, err)
}

// question returns the frame by which a host asks who has a; from is its own
// address, or the unspecified one of a host that has none yet.
func question(h *lab.Node, a, from netip.Addr) []byte {
	var own [6]byte
	h.Host.MAC.Put(own[:])
	if a.Is4() {
		f := gratuitousARP(h.Host.MAC, a)
		src := [4]byte{}
		if from.IsValid() {
			src = from.As4()
		}
		copy(f[28:], src[:])
		return f
	}
	target := wire.AddrFrom(a)
	group, mac := wire.SolicitedNode(target)
	var to [6]byte
	table.MAC(mac).Put(to[:])
	f := make([]byte, wire.EthernetLen+wire.NDSolicitLen)
	wire.Ethernet(f).Put(to[:], own[:], wire.TypeIPv6)
	src := wire.Addr{}
	if from.IsValid() {
		src = wire.AddrFrom(from)
	}
	wire.IPv6(f[wire.EthernetLen:]).PutSolicit(src, group, target, own[:])
	if src == (wire.Addr{}) { // it names no MAC then: without the option
		return withoutOption(f, group, target)
	}
	return f
}

// withoutOption returns the solicitation of a host that has no address yet.
func withoutOption(f []byte, group, target wire.Addr) []byte {
	f = bytes.Clone(f[:len(f)-8])
	h := wire.IPv6(f[wire.EthernetLen:])
	h.Put(&wire.IPv6Fields{PayloadLen: 24, NextHeader: wire.ProtoICMPv6, HopLimit: 255, Dst: group})
	m := wire.ICMP(f[wire.EthernetLen+wire.IPv6Len:])
	clear(m)
	m.SetType(wire.NDNeighbourSolicit)
	target.Put16(m[8:])
	m.SetChecksum(h.Pseudo(wire.ProtoICMPv6, len(m)))
	return f
}
