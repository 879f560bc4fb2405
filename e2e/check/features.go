package check

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/ztos/ztos/api/ztosv1"
	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/lab"
)

// reconfigure changes the configuration in force of an engine by change, runs
// fn, and makes the engine read its unchanged file again.
func (b *Bench) reconfigure(ctx context.Context, name string, change func(*config.Node), fn func() error) error {
	data, err := os.ReadFile(b.Lab.ConfigPath(name))
	if err != nil {
		return fmt.Errorf("check: %w", err)
	}
	cfg, err := config.Parse(data, "")
	if err != nil {
		return err
	}
	change(cfg)
	doc, err := config.Marshal(cfg)
	if err != nil {
		return err
	}
	err = b.call(ctx, name, func(ctx context.Context, n *node) error {
		_, err := n.ApplyConfig(ctx, &ztosv1.ApplyConfigRequest{Document: doc})
		return err
	})
	if err != nil {
		return err
	}
	err = fn()
	_, back := b.reload(context.WithoutCancel(ctx), name)
	return errors.Join(err, back)
}

// Tagging is the result of Bench.Tagging: frames that passed in both directions,
// by tag stack.
type Tagging struct {
	Trunk int `json:"trunk_frames"` // one 802.1Q tag
	QinQ  int `json:"qinq_frames"`  // two tags
	// Frames with other tags, all of them counted as vlan-not-allowed.
	Refused int `json:"refused_frames"`
}

// Tagging attaches the first tenant's first port by an 802.1Q tag and then by
// two, and sends frames by hand. Those with the right tags must come out at the
// second host without, those from there come with the right tags, and all others
// are counted.
func (b *Bench) Tagging(ctx context.Context) (r Tagging, err error) {
	vlan := func(tpid, id uint16) []byte { return []byte{byte(tpid >> 8), byte(tpid), byte(id >> 8), byte(id)} }
	one := vlan(0x8100, 100)
	two := slices.Concat(vlan(0x88a8, 100), vlan(0x8100, 5))
	if r.Trunk, err = b.tagged(ctx, 100, 0, one, &r.Refused, nil, vlan(0x8100, 101)); err != nil {
		return r, fmt.Errorf("trunk: %w", err)
	}
	r.QinQ, err = b.tagged(ctx, 100, 5, two, &r.Refused, nil, one, slices.Concat(vlan(0x88a8, 100), vlan(0x8100, 6)))
	if err != nil {
		return r, fmt.Errorf("QinQ: %w", err)
	}
	return r, nil
}

// tagged is Tagging with one tag stack: tags is right, the others are wrong.
func (b *Bench) tagged(ctx context.Context, vlan, inner uint16, tags []byte, refused *int, wrong ...[]byte) (passed int, err error) {
	const each = 5
	h := b.Topo.Hosts(b.Topo.Tenants[0].Name)
	near, far := h[0], h[1]
	port, mark := near.Host.Port, MarkerOf("tagging")
	marked := func(f frame) bool { return !f.out && mark.in(f.data) }
	tapNear, err := b.tap(near.Name, marked, "eth0")
	if err != nil {
		return 0, err
	}
	defer tapNear.close() //nolint:errcheck // what it saw is looked at below
	tapFar, err := b.tap(far.Name, marked, "eth0")
	if err != nil {
		return 0, err
	}
	defer tapFar.close() //nolint:errcheck // what it saw is looked at below
	out, back := strangeFrame(near, far, mark), strangeFrame(far, near, mark)
	put := func(t *tap, f, tags []byte) error {
		for range each {
			if err := t.send("eth0", slices.Concat(f[:12], tags, f[12:])); err != nil {
				return err
			}
		}
		return nil
	}
	arrive := func(t *tap, want []byte) error {
		return eventually(ctx, attackSettle, func() error {
			if t.kept() != each {
				return fmt.Errorf("%d of %d frames arrived", t.kept(), each)
			}
			if f, _ := t.first(0, marked); !bytes.Equal(f.data, want) {
				return fmt.Errorf("arrived:\n%swant:\n%s", dump(f.data), dump(want))
			}
			return nil
		})
	}
	change := func(c *config.Node) {
		for i := range c.BridgeDomains {
			for j := range c.BridgeDomains[i].Attach {
				if a := &c.BridgeDomains[i].Attach[j]; a.Port == port.Dev {
					a.VLAN, a.InnerVLAN = vlan, inner
				}
			}
		}
	}
	return 2 * each, b.reconfigure(ctx, port.Node, change, func() error {
		before, err := b.Drops(ctx, port.Node)
		if err != nil {
			return err
		}
		for _, w := range wrong {
			if err := put(tapNear, out, w); err != nil {
				return err
			}
			*refused += each
		}
		err = eventually(ctx, attackSettle, func() error {
			after, err := b.Drops(ctx, port.Node)
			if n := after.since(before)["vlan-not-allowed"]; err == nil && (n < uint64(each*len(wrong)) || tapFar.kept() > 0) {
				err = fmt.Errorf("of %d frames with wrong tags %d were counted as vlan-not-allowed and %d arrived", each*len(wrong), n, tapFar.kept())
			}
			return err
		})
		if err != nil {
			return err
		}
		if err := put(tapNear, out, tags); err != nil {
			return err
		}
		if err := arrive(tapFar, out); err != nil {
			return fmt.Errorf("%s to %s: %w", near.Name, far.Name, err)
		}
		if err := put(tapFar, back, nil); err != nil {
			return err
		}
		if err := arrive(tapNear, slices.Concat(back[:12], tags, back[12:])); err != nil {
			return fmt.Errorf("%s to %s: %w", far.Name, near.Name, err)
		}
		return nil
	})
}

// strangeFrame returns a frame of a local experimental type, to which no host
// answers.
func strangeFrame(from, to *lab.Node, m Marker) []byte {
	f := make([]byte, 14, 14+4*markerSize)
	to.Host.MAC.Put(f)
	from.Host.MAC.Put(f[6:])
	binary.BigEndian.PutUint16(f[12:], 0x88b5)
	return append(f, bytes.Repeat(m[:], 4)...)
}

// TAP is the result of Bench.TAP.
type TAP struct {
	Echoes int     `json:"echoes"`
	TCP    float64 `json:"tcp_mbps"`
}

// TAP adds a TAP port to the first tenant on its first leaf: the leaf's own
// kernel is the host behind it. It must reach the tenant's second host by ping
// and TCP, with super-frames.
func (b *Bench) TAP(ctx context.Context) (r TAP, err error) {
	const dev = "tap-check"
	tenant := b.Topo.Tenants[0]
	h := b.Topo.Hosts(tenant.Name)
	leaf, far := h[0].Host.Port.Node, h[1]
	own := addr(h[0], false).Next().Next().Next().Next().Next().Next().Next()
	change := func(c *config.Node) {
		c.Ports = append(c.Ports, config.Port{Name: dev, Kind: config.TAP, Device: dev})
		i := slices.IndexFunc(c.BridgeDomains, func(d config.BridgeDomain) bool { return d.VNI == tenant.VNI })
		c.BridgeDomains[i].Attach = append(c.BridgeDomains[i].Attach, config.Attach{Port: dev})
	}
	err = b.reconfigure(ctx, leaf, change, func() error {
		for _, args := range [][]string{
			{"addr", "add", netip.PrefixFrom(own, h[0].Host.Addresses[0].Bits()).String(), "dev", dev},
			{"link", "set", dev, "up"},
		} {
			if _, err := b.run(ctx, leaf, append([]string{"ip"}, args...)...); err != nil {
				return err
			}
		}
		err := eventually(ctx, portMost, func() error {
			p, err := b.ping(ctx, leaf, addr(far, false), pingOptions{count: 5})
			if r.Echoes = p.Received; err == nil && p.Received < p.Sent {
				err = fmt.Errorf("%d of %d echoes through the TAP answered", p.Received, p.Sent)
			}
			return err
		})
		if err != nil {
			return err
		}
		t, err := b.tcpFrom(ctx, leaf, far.Name, 2)
		r.TCP = t.Mbps
		return err
	})
	if err != nil {
		return r, err
	}
	return r, eventually(ctx, portMost, func() error {
		out, _ := b.run(ctx, leaf, "ip", "-br", "link")
		if strings.Contains(out, dev) {
			return fmt.Errorf("%s is still there after its port was removed", dev)
		}
		return nil
	})
}

// Storm is the result of Bench.Storm.
type Storm struct {
	Limit   uint64 `json:"limit_fps"`
	Sent    int    `json:"sent"`
	Arrived int    `json:"arrived"`
	Limited uint64 `json:"storm_limited"`
}

// Storm limits broadcasts of the first tenant at its first leaf, sends many more
// from the first host, and looks how many the second gets: each one is
// either there or counted.
func (b *Bench) Storm(ctx context.Context) (r Storm, err error) {
	r.Limit, r.Sent = 50, 400
	tenant := b.Topo.Tenants[0]
	h := b.Topo.Hosts(tenant.Name)
	leaf := h[0].Host.Port.Node
	mark := MarkerOf("storm")
	f, err := tenantFrame(endpointOf(h[0]), endpoint{mac: [6]byte{255, 255, 255, 255, 255, 255}, ip: subnetBroadcast(h[0])}, mark)
	if err != nil {
		return r, err
	}
	tx, err := b.tap(h[0].Name, func(frame) bool { return false }, "eth0")
	if err != nil {
		return r, err
	}
	defer tx.close() //nolint:errcheck // only for sending
	rx, err := b.tap(h[1].Name, func(f frame) bool { return !f.out && mark.in(f.data) }, "eth0")
	if err != nil {
		return r, err
	}
	change := func(c *config.Node) {
		i := slices.IndexFunc(c.BridgeDomains, func(d config.BridgeDomain) bool { return d.VNI == tenant.VNI })
		c.BridgeDomains[i].Storm = &config.Storm{Broadcast: r.Limit}
	}
	err = b.reconfigure(ctx, leaf, change, func() error {
		before, err := b.Drops(ctx, leaf)
		if err != nil {
			return err
		}
		for range r.Sent {
			if err := tx.send("eth0", f); err != nil {
				return err
			}
			time.Sleep(time.Millisecond)
		}
		return eventually(ctx, attackSettle, func() error {
			after, err := b.Drops(ctx, leaf)
			if err != nil {
				return err
			}
			r.Limited, r.Arrived = after.since(before)["storm-limited"], rx.kept()
			if int(r.Limited)+r.Arrived != r.Sent || r.Limited == 0 || r.Arrived == 0 {
				return fmt.Errorf("of %d broadcasts %d arrived and %d were counted as storm-limited; want the sum, and some of both", r.Sent, r.Arrived, r.Limited)
			}
			return nil
		})
	})
	_, tapErr := rx.close()
	return r, errors.Join(err, tapErr)
}

// MACLimit is the result of Bench.MACLimit.
type MACLimit struct {
	Limit   uint32 `json:"limit"`
	Sources int    `json:"sources"`
	// With a limit of the port: learned; nothing is dropped for it.
	PortLearned int `json:"port_learned"`
	// With a limit of the VNI whose action is drop: learned, and frames counted.
	Learned int    `json:"vni_learned"`
	Refused uint64 `json:"mac_limit"`
}

// MACLimit limits how many MACs the first tenant's first port may have, and then
// its VNI, sends frames from many more, and looks at the FDB: no more are
// learned. The port's limit drops nothing; the VNI's counts what it drops.
func (b *Bench) MACLimit(ctx context.Context) (r MACLimit, err error) {
	r.Limit, r.Sources = 4, 20
	tenant := b.Topo.Tenants[0]
	port := b.Topo.Hosts(tenant.Name)[0].Host.Port
	var dropped uint64
	r.PortLearned, dropped, err = b.macFlood(ctx, r, func(c *config.Node) {
		for i := range c.Ports {
			if c.Ports[i].Name == port.Dev {
				c.Ports[i].MACLimit = r.Limit
			}
		}
	})
	if err == nil && (r.PortLearned > int(r.Limit) || dropped != 0) {
		err = fmt.Errorf("with a limit of %d on %v, %d MACs were learned and %d frames dropped; want at most the limit, and none", r.Limit, port, r.PortLearned, dropped)
	}
	if err != nil {
		return r, err
	}
	r.Learned, r.Refused, err = b.macFlood(ctx, r, func(c *config.Node) {
		i := slices.IndexFunc(c.BridgeDomains, func(d config.BridgeDomain) bool { return d.VNI == tenant.VNI })
		c.BridgeDomains[i].MACLimit, c.BridgeDomains[i].MACLimitAction = r.Limit, config.LimitDrop
	})
	if err == nil && (r.Learned > int(r.Limit) || int(r.Refused) < r.Sources-int(r.Limit)) {
		err = fmt.Errorf("with a limit of %d in VNI %d, %d MACs were learned and %d frames of %d sources counted; want at most the limit, and the others counted",
			r.Limit, tenant.VNI, r.Learned, r.Refused, r.Sources)
	}
	return r, err
}

// macFlood sends frames from many source MACs through the first tenant's first
// port while its leaf is configured by change, and returns how many the FDB has
// on that port, and how many frames were dropped for mac-limit.
func (b *Bench) macFlood(ctx context.Context, r MACLimit, change func(*config.Node)) (learned int, dropped uint64, err error) {
	tenant := b.Topo.Tenants[0]
	h := b.Topo.Hosts(tenant.Name)
	port := h[0].Host.Port
	tx, err := b.tap(h[0].Name, func(frame) bool { return false }, "eth0")
	if err != nil {
		return 0, 0, err
	}
	defer tx.close() //nolint:errcheck // only for sending
	flush := func() error {
		return b.call(ctx, port.Node, func(ctx context.Context, n *node) error {
			_, err := n.FlushFDB(ctx, &ztosv1.FlushFDBRequest{})
			return err
		})
	}
	err = b.reconfigure(ctx, port.Node, change, func() error {
		if err := flush(); err != nil {
			return err
		}
		before, err := b.Drops(ctx, port.Node)
		if err != nil {
			return err
		}
		for i := range r.Sources {
			from := endpoint{mac: [6]byte{2, 0xaa, 0, 0, 0, byte(i)}, ip: addr(h[0], false)}
			f, err := tenantFrame(from, endpointOf(h[1]), MarkerOf("sources"))
			if err != nil {
				return err
			}
			if err := tx.send("eth0", f); err != nil {
				return err
			}
			// Learning is control's: leave it the time for each, and to close the gate
			// once there are as many as may be.
			pause(ctx, 20*time.Millisecond)
			if i+1 == int(r.Limit) {
				if err := b.learned(ctx, port.Node, uint32(tenant.VNI), i+1); err != nil {
					return err
				}
				pause(ctx, 200*time.Millisecond)
			}
		}
		pause(ctx, 200*time.Millisecond)
		after, err := b.Drops(ctx, port.Node)
		if err != nil {
			return err
		}
		entries, err := b.fdb(ctx, port.Node, &ztosv1.ListFDBRequest{Port: port.Dev})
		learned, dropped = len(entries), after.since(before)["mac-limit"]
		return errors.Join(err, flush())
	})
	return learned, dropped, err
}

// learned waits until a VNI's FDB has that many entries.
func (b *Bench) learned(ctx context.Context, name string, vni uint32, n int) error {
	return eventually(ctx, 5*time.Second, func() error {
		entries, err := b.fdb(ctx, name, &ztosv1.ListFDBRequest{Vni: vni})
		if err == nil && len(entries) < n {
			err = fmt.Errorf("%s has %d MACs in VNI %d, want %d at least", name, len(entries), vni, n)
		}
		return err
	})
}

// fdb returns the entries of an engine's FDB.
func (b *Bench) fdb(ctx context.Context, name string, req *ztosv1.ListFDBRequest) (out []*ztosv1.MACEntry, err error) {
	err = b.call(ctx, name, func(ctx context.Context, n *node) error {
		s, err := n.ListFDB(ctx, req)
		if err != nil {
			return err
		}
		for {
			r, err := s.Recv()
			if err != nil {
				return ignoreEOF(err)
			}
			out = append(out, r.Entries...)
		}
	})
	return out, err
}

// Fabric is the result of Bench.FabricPing.
type Fabric struct {
	From    string `json:"from"`
	Targets int    `json:"targets"`
}

// FabricPing pings, from a node whose host stack is a TUN device, the fabric
// addresses of all leaves, IPv4 and IPv6: their own stacks answer.
func (b *Bench) FabricPing(ctx context.Context, from string) (Fabric, error) {
	r := Fabric{From: from}
	for _, l := range b.kind(lab.Leaf) {
		n, _ := b.Topo.Node(l)
		for _, a := range []netip.Addr{n.Address, n.Address6} {
			if !a.IsValid() || l == from {
				continue
			}
			err := eventually(ctx, 10*time.Second, func() error {
				p, err := b.ping(ctx, from, a, pingOptions{count: 3})
				if err == nil && p.Received < p.Sent {
					err = fmt.Errorf("%s pings %s (%v): %d of %d answered", from, l, a, p.Received, p.Sent)
				}
				return err
			})
			if err != nil {
				return r, err
			}
			r.Targets++
		}
	}
	return r, nil
}

// PlainView is the result of Bench.PlainView.
type PlainView struct {
	VXLAN  int `json:"vxlan"`
	MACsec int `json:"macsec"`
	Marks  int `json:"readable"` // packets with a tenant's mark in the clear
}

// PlainView looks at the links of a fabric without WireGuard while its tenants
// talk: VXLAN on port 4789, and inside it MACsec or, without it, the tenants'
// frames as they are.
func (b *Bench) PlainView(ctx context.Context) (r PlainView, err error) {
	leaf := b.kind(lab.Leaf)[0]
	t, err := b.tap(leaf, func(f frame) bool {
		d, ok := parseUDP(f.data)
		return ok && d.dst.Port() == 4789
	}, b.Topo.Links[0].Ends[0].At.Dev)
	if err != nil {
		return r, err
	}
	talkErr := b.talk(ctx)
	frames, err := t.close()
	for _, f := range frames {
		d, _ := parseUDP(f.data)
		r.VXLAN++
		if len(d.payload) > 22 && binary.BigEndian.Uint16(d.payload[8+12:]) == etherMACsec {
			r.MACsec++
		}
		for _, t := range b.Topo.Tenants {
			if MarkerOf(t.Name).in(f.data) {
				r.Marks++
			}
		}
	}
	err = errors.Join(talkErr, err)
	if err == nil && r.VXLAN == 0 {
		err = errors.New("no VXLAN packet on the link")
	}
	return r, err
}
