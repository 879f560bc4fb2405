package check

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"github.com/ztos/ztos/api/ztosv1"
	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/lab"
)

const (
	homeBUM   = 50  // broadcasts of one source
	homeFlows = 64  // flows to the host with two links
	homeEach  = 5   // frames of each flow
	homeRate  = 500 // frames a second while something fails
	// homeMost is how long the fabric may take to agree on a designated forwarder,
	// and to repair itself: RFC 7432 lets a leaf that comes wait 3 s before it votes,
	// and a slow machine makes that more.
	homeMost = 20 * time.Second
)

// multihome is a host with a link to each of two leaves, in the shape of two hosts
// with one MAC, and the other hosts of its tenant.
type multihome struct {
	b     *Bench
	vni   uint32
	links [2]*lab.Node
	hosts []*lab.Node // links, then the others; the last is at the third leaf
	taps  map[string]*tap
	tests uint32 // given to the frames of one test
}

// homeFrames is what arrived of one test: how often each frame came to each host.
type homeFrames map[string]map[uint32]int

// total returns how many frames came to the hosts, and how many came twice to any
// or to several of them.
func (f homeFrames) total(hosts ...*lab.Node) (n, twice int) {
	seen := map[uint32]int{}
	for _, h := range hosts {
		for i, k := range f[h.Name] {
			seen[i] += k
		}
	}
	for _, k := range seen {
		if k > 1 {
			twice++
		}
	}
	return len(seen), twice
}

// newMultihome opens taps on all hosts of a tenant.
func (b *Bench) newMultihome(tenant string) (m *multihome, err error) {
	m = &multihome{b: b, hosts: b.Topo.Hosts(tenant), taps: map[string]*tap{}}
	if len(m.hosts) < 3 || m.hosts[0].Host.MAC != m.hosts[1].Host.MAC {
		return nil, errors.New("check: a tenant's first two hosts are to have one MAC, and a third another")
	}
	copy(m.links[:], m.hosts)
	for _, t := range b.Topo.Tenants {
		if t.Name == tenant {
			m.vni = uint32(t.VNI)
		}
	}
	for _, h := range m.hosts {
		t, err := b.tap(h.Name, func(f frame) bool { return !f.out && bytes.Contains(f.data, homeMagic) }, hostDev)
		if err != nil {
			m.close()
			return nil, err
		}
		m.taps[h.Name] = t
	}
	return m, nil
}

func (m *multihome) close() error {
	var errs []error
	for _, t := range m.taps {
		_, err := t.close()
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func (m *multihome) far() *lab.Node { return m.hosts[len(m.hosts)-1] }

// homeMagic marks the frames of these checks; the number of the test and that of
// the frame follow.
var homeMagic = []byte("ztos-multihome-")

// frame returns frame i of the test under way, of a flow.
func (m *multihome) frame(from *lab.Node, dst table.MAC, flow int, i uint32) []byte {
	hw := func(a table.MAC) net.HardwareAddr {
		var b [6]byte
		a.Put(b[:])
		return b[:]
	}
	ip := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolUDP, SrcIP: net.IP{10, 1, 0, 98}, DstIP: net.IP{10, 1, 0, 99}}
	udp := &layers.UDP{SrcPort: layers.UDPPort(20000 + flow), DstPort: 9}
	payload := append([]byte{}, homeMagic...)
	payload = binary.BigEndian.AppendUint32(payload, m.tests)
	payload = binary.BigEndian.AppendUint32(payload, i)
	buf := gopacket.NewSerializeBuffer()
	udp.SetNetworkLayerForChecksum(ip) //nolint:errcheck // it is IPv4
	if err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true},
		&layers.Ethernet{SrcMAC: hw(from.Host.MAC), DstMAC: hw(dst), EthernetType: layers.EthernetTypeIPv4}, ip, udp, gopacket.Payload(payload),
	); err != nil {
		panic(err) // of layers that are written here
	}
	return buf.Bytes()
}

// arrived returns what the taps have of the test under way, by number of the frame.
func (m *multihome) arrived() homeFrames {
	out := homeFrames{}
	for name, t := range m.taps {
		out[name] = map[uint32]int{}
		t.mu.Lock()
		for _, f := range t.frames {
			at := bytes.Index(f.data, homeMagic) + len(homeMagic)
			if len(f.data) >= at+8 && binary.BigEndian.Uint32(f.data[at:]) == m.tests {
				out[name][binary.BigEndian.Uint32(f.data[at+4:])]++
			}
		}
		t.mu.Unlock()
	}
	return out
}

// send sends n frames of flows from a host, some ms apart in all, and returns what
// arrived when no more comes.
func (m *multihome) send(ctx context.Context, from *lab.Node, dst table.MAC, n, flows int) (homeFrames, error) {
	m.tests++
	for i := range n {
		if err := m.taps[from.Name].send(hostDev, m.frame(from, dst, i%flows, uint32(i))); err != nil {
			return nil, err
		}
		if i%16 == 15 {
			pause(ctx, time.Millisecond)
		}
	}
	// No more comes when three looks in a row found the same.
	for last, same := -1, 0; ; {
		pause(ctx, 100*time.Millisecond)
		got := m.arrived()
		sum := 0
		for _, f := range got {
			sum += len(f)
		}
		if sum != last {
			last, same = sum, 0
		} else if same++; same == 3 {
			return got, ctx.Err()
		}
	}
}

// counted waits until a leaf has counted that many more drops for a reason than
// before, and returns how many it has.
func (m *multihome) counted(ctx context.Context, leaf, reason string, before Drops, want uint64) (n uint64, err error) {
	err = eventually(ctx, homeMost, func() error {
		now, err := m.b.Drops(ctx, leaf)
		if n = now.since(before)[reason]; err == nil && n < want {
			err = fmt.Errorf("%s counts %d frames as %s, want %d", leaf, n, reason, want)
		}
		return err
	})
	return n, err
}

// segmentAt returns what a leaf says of its segment in the tenant's VNI.
func (m *multihome) segmentAt(ctx context.Context, leaf string) (*ztosv1.SegmentVNI, error) {
	g, err := m.b.evpnOf(ctx, leaf)
	if err != nil {
		return nil, err
	}
	for _, s := range g.GetSegments() {
		for _, v := range s.GetVnis() {
			if v.GetVni() == m.vni {
				return v, nil
			}
		}
	}
	return nil, fmt.Errorf("%s has no segment in VNI %d", leaf, m.vni)
}

// elected waits until the leaves of the links agree on who is the designated
// forwarder, and returns its place among the links. peers is how many others each
// is to know.
func (m *multihome) elected(ctx context.Context, links []*lab.Node, peers int) (df int, err error) {
	err = eventually(ctx, homeMost, func() error {
		df = -1
		for i, h := range links {
			v, err := m.segmentAt(ctx, h.Host.Port.Node)
			switch {
			case err != nil:
				return err
			case len(v.GetPeers()) != peers || v.GetDf() == "":
				return fmt.Errorf("%s: DF %q, peers %v, because %s; want %d peers", h.Host.Port.Node, v.GetDf(), v.GetPeers(), v.GetWhy(), peers)
			case v.GetSelf() && df >= 0:
				return errors.New("two designated forwarders")
			case v.GetSelf():
				df = i
			}
		}
		if df < 0 {
			return errors.New("no leaf is the designated forwarder")
		}
		return nil
	})
	return df, err
}

// grouped waits until the third leaf has the host's MAC behind a segment whose
// flows n VTEPs share.
func (m *multihome) grouped(ctx context.Context, n int) error {
	leaf := m.far().Host.Port.Node
	return eventually(ctx, homeMost, func() error {
		behind := false
		err := m.b.eachMAC(ctx, leaf, func(e *ztosv1.MACEntry) error {
			behind = behind || e.GetVni() == m.vni && e.GetMac() == m.links[0].Host.MAC.String() && e.GetSegment() != ""
			return nil
		})
		if err != nil || !behind {
			return errors.Join(err, fmt.Errorf("%s does not have %v behind a segment", leaf, m.links[0].Host.MAC))
		}
		g, err := m.b.evpnOf(ctx, leaf)
		if err != nil {
			return err
		}
		for _, x := range g.GetGroups() {
			if x.GetVni() == m.vni && len(x.GetVteps()) == n {
				return nil
			}
		}
		return fmt.Errorf("%s: groups %v, want one of %d VTEPs", leaf, g.GetGroups(), n)
	})
}

// outage is what was lost while something failed.
type outage struct {
	Sent   int     `json:"sent"`
	Lost   int     `json:"lost"`
	Twice  int     `json:"twice"`
	Window float64 `json:"loss_window_ms"` // from the first frame that was lost to the last
}

// during sends frames of many flows to dst from the third leaf's host while fn runs,
// for a second more, and until the fabric has repaired itself, and returns what was
// lost on the way to any of the links.
func (m *multihome) during(ctx context.Context, dst table.MAC, fn func() error) (o outage, err error) {
	m.tests++
	far := m.far()
	var stop atomic.Bool
	var count atomic.Uint32
	ended := make(chan error, 1)
	start := time.Now()
	go func() {
		tick := time.NewTicker(time.Second / homeRate)
		defer tick.Stop()
		for !stop.Load() {
			<-tick.C
			i := count.Load()
			if err := m.taps[far.Name].send(hostDev, m.frame(far, dst, int(i)%homeFlows, i)); err != nil {
				ended <- err
				return
			}
			count.Store(i + 1)
		}
		ended <- nil
	}()
	pause(ctx, 200*time.Millisecond)
	err = fn()
	pause(ctx, time.Second)
	if err == nil {
		err = eventually(ctx, homeMost, func() error { return m.arriving(count.Load()) })
	}
	stop.Store(true)
	err = errors.Join(err, <-ended)
	took, sent := time.Since(start), count.Load()
	pause(ctx, 300*time.Millisecond)
	got := m.arrived()
	o.Sent = int(sent)
	n, twice := got.total(m.links[:]...)
	o.Lost, o.Twice = o.Sent-n, twice
	first, last := -1, -1
	for i := range sent {
		if got[m.links[0].Name][i]+got[m.links[1].Name][i] > 0 {
			continue
		}
		if last = int(i); first < 0 {
			first = last
		}
	}
	if first >= 0 {
		// A busy machine sends fewer a second than it was asked for.
		o.Window = float64((took * time.Duration(last-first+1) / time.Duration(sent)).Milliseconds())
	}
	if err == nil && twice > 0 {
		err = fmt.Errorf("%d of %d frames came twice", twice, sent)
	}
	return o, err
}

// arriving wants all flows to arrive: of the last frames of the sent ones, without
// those that are on their way, none is missing.
func (m *multihome) arriving(sent uint32) error {
	const last, fresh = 2 * homeFlows, homeFlows / 2
	got, lost := m.arrived(), 0
	for i := max(sent, last+fresh) - last - fresh; i+fresh < sent; i++ {
		if got[m.links[0].Name][i]+got[m.links[1].Name][i] == 0 {
			lost++
		}
	}
	if lost > 0 {
		return fmt.Errorf("of the last %d of %d frames %d were lost: nothing was repaired", last, sent, lost)
	}
	return nil
}

// link sets a host's link up or down.
func (m *multihome) link(ctx context.Context, h *lab.Node, state string) error {
	_, err := m.b.run(ctx, h.Name, "ip", "link", "set", hostDev, state)
	return err
}
