package fabric_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/ztos/ztos/crypto/secret"
	"github.com/ztos/ztos/engine/counter"
	"github.com/ztos/ztos/engine/pkt"
	"github.com/ztos/ztos/engine/port"
	portmem "github.com/ztos/ztos/engine/port/mem"
	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/engine/table/fib"
	"github.com/ztos/ztos/engine/trace"
	"github.com/ztos/ztos/engine/underlay"
	undermem "github.com/ztos/ztos/engine/underlay/mem"
	"github.com/ztos/ztos/engine/wire"
	"github.com/ztos/ztos/engine/worker"
	"github.com/ztos/ztos/fabric"
	"github.com/ztos/ztos/l2"
	"github.com/ztos/ztos/macsec"
	"github.com/ztos/ztos/vxlan"
	"github.com/ztos/ztos/wireguard"
)

const (
	red  table.VNI = 10100
	blue table.VNI = 10200
)

// bed is a fabric in memory, stepped burst by burst: leaf1, leaf2 and leaf3
// around one spine.
//
//	red, blue - leaf1 -+
//	red, blue - leaf2 -+- spine
//	red, blue - leaf3 -+
type bed struct {
	t     testing.TB
	sw    *undermem.Switch
	now   int64
	nodes map[string]*node
}

// node is one engine of the bed.
type node struct {
	bed    *bed
	name   string
	addr   netip.Addr
	wg     *wireguard.Node
	mux    *undermem.Mux
	env    *fabric.Env
	tables table.Publisher[fabric.Snapshot]
	tap    trace.Tap
	learn  *l2.Learner
	ring   *l2.Ring
	ports  map[table.VNI]*portmem.Port
	secys  map[table.VNI]*macsec.SecY
	parts  fabric.Tables
	routes map[netip.Prefix]*fabric.Route // of parts, until published
	graphs []graph
	drops  []*counter.Block
	host   [][]byte // packets delivered to the node
}

// graph is a worker's graph with its name, and whether its queue holds anything.
type graph struct {
	worker.Graph
	name    string
	drops   *counter.Block
	pending func() int
}

// option changes what newBed builds.
type option struct {
	unprotected bool // no MACsec
	tenantMTU   int  // 0: 1500
	suite       macsec.Suite
	hidden      bool
	queues      int // of each port and of each underlay; 0: 1
	blocking    bool
}

func vtep(i int) netip.Addr     { return netip.AddrFrom4([4]byte{10, 255, 0, byte(i)}) }
func endpoint(i int) netip.Addr { return netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}) }

func sci(vni table.VNI, leaf int) macsec.SCI {
	return macsec.MakeSCI([6]byte{2, 0, byte(vni >> 8), byte(vni), 0, byte(leaf)}, 1)
}

func sak(vni table.VNI, leaf, n int) secret.Key {
	k := make([]byte, n)
	for i := range k {
		k[i] = byte(i*7+leaf*31) ^ byte(vni) ^ byte(vni>>8)
	}
	return secret.New(k)
}

func newBed(t testing.TB, o option) *bed {
	t.Helper()
	if o.suite == 0 {
		o.suite = macsec.GCMAES256
	}
	if o.tenantMTU == 0 {
		o.tenantMTU = 1500
	}
	o.queues = max(o.queues, 1)
	b := &bed{t: t, sw: undermem.NewSwitch(), now: 1, nodes: map[string]*node{}}
	for i := 1; i <= 4; i++ {
		name := fmt.Sprintf("leaf%d", i)
		if i == 4 {
			name = "spine"
		}
		b.open(name, i, o)
	}
	leaves := []*node{b.nodes["leaf1"], b.nodes["leaf2"], b.nodes["leaf3"]}
	spine := b.nodes["spine"]
	for i, l := range leaves {
		b.link(l, 1, spine, 4, []netip.Prefix{netip.MustParsePrefix("10.255.0.0/24")})
		b.link(spine, i+1, l, i+1, []netip.Prefix{netip.PrefixFrom(l.addr, 32)})
	}
	for i, l := range leaves {
		l.leaf(i+1, o)
	}
	spine.parts.Spine = true
	members := map[netip.Addr]struct{}{vtep(1): {}, vtep(2): {}, vtep(3): {}}
	spine.parts.VRFs = map[table.VNI]*fabric.VRF{
		red:  {Name: "red", Members: members},
		blue: {Name: "blue", Members: members},
	}
	for _, n := range b.nodes {
		n.publish()
		n.start()
	}
	for range 4 {
		for _, n := range b.nodes {
			n.send(n.wg.Tick(b.now))
		}
		b.settle()
	}
	return b
}

func (b *bed) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

// open makes a node without peers.
func (b *bed) open(name string, i int, o option) {
	n := &node{
		bed: b, name: name, addr: vtep(i), learn: l2.NewLearner(), ring: l2.NewRing(1024),
		ports: map[table.VNI]*portmem.Port{}, secys: map[table.VNI]*macsec.SecY{},
	}
	key := make([]byte, 32)
	key[0], key[31] = byte(i)*8, 0x40
	var err error
	k, _ := secret.New(key).Key32()
	n.wg, err = wireguard.NewNode(wireguard.Config{
		Private: k, Wall: time.Now, ReplayWindow: 65529, Sock: underlay.Reuse,
	})
	b.must(err)
	n.mux, err = b.sw.Open(undermem.Config{Listen: netip.AddrPortFrom(endpoint(i), 51820), SourcePorts: 3 * o.queues, Queues: o.queues, Blocking: o.blocking})
	b.must(err)
	n.env = &fabric.Env{
		Tables: &n.tables, Tap: &n.tap, Sessions: n.wg.Sessions(), Learn: n.ring, Wake: func() {},
		Clock: func() int64 { return b.now }, UnderlayMTU: 9000, Host: hostOf{n},
		Handshake: func(src netip.AddrPort, msg []byte) bool {
			n.send(n.wg.HandleMessage(b.now, src, bytes.Clone(msg)))
			return true
		},
	}
	n.parts = fabric.Tables{
		Local4: n.addr,
		VXLAN:  vxlan.Receiver{Port: vxlan.Port, TrustTunnel: true}, MergeUDP: true,
	}
	n.routes = map[netip.Prefix]*fabric.Route{}
	b.nodes[name] = n
}

// link gives node a its peer p, at place i.
func (b *bed) link(a *node, id int, p *node, i int, allowed []netip.Prefix) {
	wp, err := a.wg.AddPeer(b.now, wireguard.PeerConfig{
		PublicKey: p.wg.PublicKey(), ID: table.PeerID(id),
		Endpoint: netip.AddrPortFrom(endpoint(i), 51820), AllowedIPs: allowed, AlwaysOn: true,
	})
	b.must(err)
	fp := &fabric.Peer{
		ID: table.PeerID(id), Name: p.name, WireGuard: wp, Counts: &fabric.PeerCounters{},
		Sources: map[netip.Addr]struct{}{p.addr: {}},
	}
	a.parts.Peers = append(a.parts.Peers, fp)
	for _, pfx := range allowed {
		a.routes[pfx] = &fabric.Route{Paths: []*fabric.Peer{fp}}
	}
}

// leaf gives n both tenants, a port each.
func (n *node) leaf(i int, o option) {
	n.parts.Leaf = true
	route := n.routes[netip.MustParsePrefix("10.255.0.0/24")]
	for k, vni := range []table.VNI{red, blue} {
		p := portmem.New(fmt.Sprintf("%s-%d", n.name, vni), portmem.Config{Queues: o.queues, Blocking: o.blocking})
		n.ports[vni] = p
		id := table.PortID(k + 1)
		ac := &l2.AC{ID: table.ACID(k + 1), Port: id, VNI: vni}
		access, err := l2.NewAccess([]*l2.AC{ac})
		n.bed.must(err)
		dom := &fabric.Domain{
			TenantMTU: o.tenantMTU, ClampMSS: true, TooBig: l2.NewTooBig(1000),
			Adjacencies: map[netip.Addr]*fabric.Adjacency{},
		}
		cfg := l2.BDConfig{VNI: vni, FDB: n.learn.FDB(vni), ACs: []*l2.AC{ac}}
		lc := l2.DomainConfig{VNI: vni, Circuits: []l2.Circuit{{ID: ac.ID, Port: id}}}
		if !o.unprotected {
			dom.SecY = n.secY(vni, i, o)
		}
		for j := 1; j <= 3; j++ {
			if j == i {
				continue
			}
			adj := &fabric.Adjacency{ID: table.VTEPID(10*k + j), VTEP: vtep(j), Route: route, Domain: dom}
			adj.Encap, err = vxlan.NewTemplate(vxlan.TemplateConfig{Src: n.addr, Dst: vtep(j), VNI: vni})
			n.bed.must(err)
			dom.Adjacencies[vtep(j)] = adj
			cfg.VTEPs = append(cfg.VTEPs, adj.ID)
			lc.VTEPs = append(lc.VTEPs, adj.ID)
			if dom.SecY != nil {
				_, err = dom.SecY.AddRxSC(sci(vni, j), adj.ID)
				n.bed.must(err)
				_, err = dom.SecY.InstallRxSA(sci(vni, j), macsec.RxSAConfig{
					SAK: sak(vni, j, o.suite.KeyLen()), SSCI: ssci(o, j), Salt: salt(o),
				})
				n.bed.must(err)
			}
		}
		n.bed.must(n.learn.SetDomain(lc))
		dom.BD, err = l2.NewBD(cfg)
		n.bed.must(err)
		fp := &fabric.Port{ID: id, Name: p.Name(), Device: p, Access: access, Counts: &fabric.PortCounters{}}
		n.parts.Ports = append(n.parts.Ports, fp)
		n.parts.ACs = append(n.parts.ACs, &fabric.AC{AC: ac, Port: fp, Domain: dom})
		n.parts.Domains = append(n.parts.Domains, dom)
	}
}

func ssci(o option, leaf int) uint32 {
	if o.suite.XPN() {
		return uint32(leaf)
	}
	return 0
}

func salt(o option) secret.Key {
	if o.suite.XPN() {
		return secret.New([]byte("twelve bytes"))
	}
	return secret.Key{}
}

func (n *node) secY(vni table.VNI, i int, o option) *macsec.SecY {
	c := macsec.Config{Suite: o.suite, Mode: macsec.Standard, ReplayWindow: 65529, TxSCI: sci(vni, i)}
	if o.hidden {
		c.Mode = macsec.Hidden
		c.HiddenAddrs = [12]byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2}
	}
	s, err := macsec.New(c)
	n.bed.must(err)
	_, err = s.InstallTxSA(macsec.TxSAConfig{
		SAK: sak(vni, i, o.suite.KeyLen()), SSCI: ssci(o, i), Salt: salt(o), Granted: macsec.Unlimited,
	})
	n.bed.must(err)
	n.bed.must(s.UseAN(0))
	n.secys[vni] = s
	return s
}

func (n *node) publish() {
	var err error
	n.parts.Routes, err = fib.Of(n.routes)
	n.bed.must(err)
	n.tables.Publish(fabric.NewSnapshot(n.parts))
}

// block returns counters of a further worker.
func (n *node) block() *counter.Block {
	b := new(counter.Block)
	n.drops = append(n.drops, b)
	return b
}

// start makes the node's graphs, one for each queue.
func (n *node) start() {
	for k, vni := range []table.VNI{red, blue} {
		p := n.ports[vni]
		if p == nil {
			continue
		}
		for q := range p.Queues() {
			name, drops := fmt.Sprintf("%s in %d.%d", n.name, vni, q), n.block()
			g := fabric.NewLeafIn(n.env, name, drops, table.PortID(k+1), p.Rx(q), n.mux.NewSender(), nil)
			n.graphs = append(n.graphs, graph{g, name, drops, p.Pending})
		}
	}
	for q := range n.mux.Queues() {
		name, drops := fmt.Sprintf("%s underlay.%d", n.name, q), n.block()
		g := fabric.NewUnderlayIn(n.env, name, drops, n.mux.Receiver(q), false, n.mux.NewSender(), nil)
		n.graphs = append(n.graphs, graph{g, name, drops, n.mux.Rx(q).Pending})
	}
}

func (n *node) send(outs []wireguard.Out) {
	for _, o := range outs {
		n.bed.must(n.mux.SendTo(o.To.Sock.(*underlay.Endpoint), o.Msg))
	}
}

// settle steps everything until nothing moves.
func (b *bed) settle() {
	b.t.Helper()
	for round := 0; ; round++ {
		moved := false
		for _, name := range []string{"leaf1", "leaf2", "leaf3", "spine"} {
			n := b.nodes[name]
			for _, g := range n.graphs {
				for g.pending() > 0 {
					err := g.Step()
					if errors.Is(err, port.ErrTimeout) {
						break
					}
					b.must(err)
					moved = true
				}
			}
			var s [64]l2.Sighting
			n.learn.Learn(s[:n.ring.Pop(s[:])], l2.Seconds(b.now))
		}
		if !moved {
			return
		}
		if round > 1000 {
			b.t.Fatal("the fabric does not come to rest: a loop?")
		}
	}
}

// dropped returns how many frames n dropped for r.
func (n *node) dropped(r counter.Reason) (sum uint64) {
	for _, b := range n.drops {
		sum += b.Drops(r)
	}
	return sum
}

// noDrops fails the test when any node dropped anything.
func (b *bed) noDrops() {
	b.t.Helper()
	for name, n := range b.nodes {
		for r := counter.None + 1; int(r) < counter.NumReasons; r++ {
			if d := n.dropped(r); d > 0 {
				b.t.Errorf("%s dropped %d frames: %v", name, d, r)
			}
		}
	}
}

// hostOf collects what is delivered to the node itself.
type hostOf struct{ n *node }

func (h hostOf) Deliver(p []byte) bool           { h.n.host = append(h.n.host, bytes.Clone(p)); return true }
func (hostOf) Read([][]byte, []int) (int, error) { return 0, port.ErrTimeout }
func (hostOf) Close() error                      { return nil }

// mac returns the MAC of the host behind leaf i: the same in every tenant.
func mac(i int) []byte { return []byte{2, 0, 0, 0, 0, byte(i)} }

// tcp returns a TCP frame from host i to host j with payload, its checksum
// pseudo only, as a kernel hands it over.
func tcp(i, j int, seq uint32, payload []byte) ([]byte, pkt.Offload) {
	b := make([]byte, 54+len(payload))
	wire.Ethernet(b).Put(mac(j), mac(i), wire.TypeIPv4)
	ip := wire.IPv4(b[14:])
	ip.Put(&wire.IPv4Fields{TotalLen: 40 + len(payload), TTL: 64, Proto: wire.ProtoTCP, Src: 0x0a010000 + uint32(i), Dst: 0x0a010000 + uint32(j)})
	t := b[34:]
	binary.BigEndian.PutUint16(t, 40000)
	binary.BigEndian.PutUint16(t[2:], 5001)
	binary.BigEndian.PutUint32(t[4:], seq)
	t[12], t[13] = 5<<4, wire.FlagACK
	binary.BigEndian.PutUint16(t[14:], 65535)
	copy(t[20:], payload)
	binary.BigEndian.PutUint16(t[16:], wire.Fold(ip.Pseudo(wire.ProtoTCP, 20+len(payload))))
	o := pkt.Offload{NeedsCsum: true, CsumStart: 34, CsumOff: 16}
	if len(payload) > 1460 {
		o.GSOType, o.GSOSize = pkt.GSOTCPv4, 1460
	}
	return b, o
}

func pattern(n int, seed byte) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i>>8) ^ byte(i)*3 ^ seed
	}
	return b
}

type netipAddr = netip.Addr

func host(i int) netip.Prefix { return netip.PrefixFrom(vtep(i), 32) }

// once is a host stack with one packet to send.
type once struct{ packet []byte }

func (o *once) Deliver([]byte) bool { return true }
func (o *once) Close() error        { return nil }
func (o *once) Read(bufs [][]byte, sizes []int) (int, error) {
	if o.packet == nil {
		return 0, port.ErrTimeout
	}
	sizes[0] = copy(bufs[0], o.packet)
	o.packet = nil
	return 1, nil
}
