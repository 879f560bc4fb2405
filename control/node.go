package control

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/control/overlay"
	"github.com/ztos/ztos/control/pnstore"
	"github.com/ztos/ztos/engine/counter"
	"github.com/ztos/ztos/engine/ring"
	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/engine/trace"
	"github.com/ztos/ztos/engine/underlay"
	"github.com/ztos/ztos/engine/worker"
	"github.com/ztos/ztos/fabric"
	"github.com/ztos/ztos/l2"
	"github.com/ztos/ztos/l2/proxy"
	"github.com/ztos/ztos/l3"
	"github.com/ztos/ztos/macsec"
	"github.com/ztos/ztos/wireguard"
	"github.com/ztos/ztos/wireguard/noise"
)

// Node is a running node. Its exported methods are for any goroutine.
type Node struct {
	log     *slog.Logger
	path    string // of the configuration, for Reload
	version string
	began   time.Time
	store   *pnstore.Store

	tables     table.Publisher[fabric.Snapshot]
	tap        trace.Tap
	ring       *l2.Ring // MACs that workers saw
	env        *fabric.Env
	mux        underlay.Conn
	past       *past           // nil unless the underlay goes by AF_XDP
	plain      *underlay.Mux   // nil without plain peers
	wg         *wireguard.Node // nil without a private key
	bgp        *bgpService     // nil without BGP
	bgpIn      chan bgpMessage // nil without BGP
	bfd        *bfdService     // nil without BFD
	externalIn chan externalMessage

	punts chan punt
	wake  chan struct{}
	stop  chan struct{}
	done  chan struct{}

	closing sync.Once
	leaving sync.WaitGroup // speakers that are no longer configured

	mu        sync.Mutex // guards what follows; applies, the loop and the API take turns
	cfg       *config.Node
	ids       *ids
	ports     map[string]*portState
	peers     map[string]*peerState
	domains   map[table.VNI]*domainState
	secys     []*macsec.SecY // of domains, in no order
	secyVNIs  []table.VNI    // of secys
	applied   uint64         // generation of the snapshot in force
	appliedAt time.Time
	retired   []retired
	wiped     int             // keys that were in retired; for tests
	lost      map[string]bool // faults that were said and last
	learner   *l2.Learner
	overlay   *overlay.Overlay // nil without BGP
	guarding  bool             // a spine's guard goes by what is announced, too
	aged      uint32           // s, when MACs were aged last
	sightings [256]l2.Sighting

	vrfs       map[string]*vrfState
	l3vnis     map[table.VNI]*vrfState // of vrfs
	links      map[table.VNI]*linkState
	externals  map[externalKey]*external
	neighbours *l3.Neighbours
	heard      [256]l3.Event

	proxy        *proxy.Bindings
	proxied      [256]proxy.Event
	refused      map[refusedKey]int64       // ns, when a refused claim was logged last
	foreign      map[vtepKey]int64          // ns, when a VTEP's frames with MACs of others were logged last
	segments     map[table.ACID]*l2.Segment // of circuits that lead, or led, to a segment
	segmentsSeen int64                      // ns, when their ports were looked at last

	proofs, breaches atomic.Uint64 // looks at the isolation of tenants after applies, and what they found
	breaking         atomic.Uint64 // applies that were refused because they would have broken it

	fixed []fixedWorker // of the underlay and the host stack

	blocksMu sync.Mutex
	blocks   []namedBlock // of every worker that ever ran
}

// namedBlock is the drop counters of one worker.
type namedBlock struct {
	worker string
	block  *counter.Block
}

// fixedWorker is a worker that runs as long as the node.
type fixedWorker struct {
	*worker.Worker
	graph interface{ Close() }
}

// punt is a handshake message on its way from a worker to the loop.
type punt struct {
	src netip.AddrPort
	n   int
	buf [noise.InitiationSize]byte // the longest: a copy, as the worker's is reused
}

// msg returns the message.
func (p *punt) msg() []byte { return p.buf[:p.n] }

// puntDepth bounds the handshake messages that wait: a flood fills it, and what
// finds it full is counted as wg-punt-full.
const puntDepth = 1024

// Start reads the configuration at path and runs the node. Errors: Refused for
// the configuration; others for the machine (sockets, devices, state).
func Start(path string, log *slog.Logger, version string) (*Node, error) {
	cfg, keys, err := load(path)
	if err != nil {
		return nil, err
	}
	defer keys.wipe()
	store, err := pnstore.Open(cfg.Self.StateDir)
	if err != nil {
		return nil, err
	}
	n := &Node{
		log: log, path: path, version: version, began: time.Now(), store: store,
		punts: make(chan punt, puntDepth), wake: make(chan struct{}, 1),
		stop: make(chan struct{}), done: make(chan struct{}), externalIn: make(chan externalMessage, externalDepth),
		ids:   newIDs(),
		ports: map[string]*portState{}, peers: map[string]*peerState{}, domains: map[table.VNI]*domainState{},
		lost: map[string]bool{}, learner: l2.NewLearner(), ring: l2.NewRing(learnRing),
		vrfs: map[string]*vrfState{}, links: map[table.VNI]*linkState{}, neighbours: l3.NewNeighbours(),
		refused: map[refusedKey]int64{}, foreign: map[vtepKey]int64{}, segments: map[table.ACID]*l2.Segment{},
	}
	n.proxy = proxy.New(n.circuitOf)
	if err := n.open(cfg, keys); err != nil {
		n.close()
		return nil, err
	}
	if cfg.BGP != nil {
		n.openOverlay()
	}
	n.mu.Lock()
	err = n.applyLocked(&plan{}, cfg, keys)
	n.mu.Unlock()
	if err != nil {
		n.close()
		return nil, err
	}
	n.proveIsolation()
	n.startFixed()
	n.mu.Lock()
	n.schedule()
	n.mu.Unlock()
	go n.loop()
	for _, open := range []func(*config.Node, *keyring) error{n.openBGP, n.openBFD} {
		if err := open(cfg, keys); err != nil {
			return nil, errors.Join(err, n.Close())
		}
	}
	return n, nil
}

// now returns ns since the node began, never 0.
func (n *Node) now() int64 { return int64(time.Since(n.began)) + 1 }

// open opens what lives as long as the node: sockets, WireGuard identity, host
// stack.
func (n *Node) open(cfg *config.Node, keys *keyring) (err error) {
	u := &cfg.Underlay
	queues := underlayQueues(u)
	if err = n.openUnderlay(cfg, queues); err != nil {
		return err
	}
	if u.VXLANListen.IsValid() {
		n.plain, err = underlay.Open(underlay.Config{
			Listen: netip.AddrPortFrom(u.VXLANListen, u.VXLANPort), Queues: queues, SourcePorts: sourcePorts(u, queues),
			RecvBuf:    recvBuf(queues),
			DisableGSO: !u.GSO.On(), DisableGRO: !u.GRO.On(),
			// Zero costs GSO: the kernel refuses the two together. A full one is
			// the kernel's to compute, and every receiver takes it.
			NoChecksum: u.VXLANUDPChecksum == config.ChecksumZero,
		})
		if err != nil {
			return err
		}
	}
	n.env = &fabric.Env{
		Tables: &n.tables, Tap: &n.tap, Clock: n.now, Wake: n.poke,
		Handshake:   n.punt,
		Learn:       n.ring,
		UnderlayMTU: u.MTU,
	}
	for i := range cfg.Peers {
		if p := &cfg.Peers[i]; p.Carrier == config.CarrierWireGuard && endpoint6(cfg, p) {
			n.env.Underlay6 = true
		}
	}
	if keys.private.Valid() {
		n.wg, err = wireguard.NewNode(wireguard.Config{
			Private: keys.private, Wall: time.Now, Wake: n.poke, ReplayWindow: replayWindow(queues),
			Sock: underlay.Reuse,
		})
		if err != nil {
			return err
		}
		n.env.Sessions = n.wg.Sessions()
	} else {
		n.env.Sessions = wireguard.NewIndexTable(nil)
	}
	if cfg.Self.Is(config.Leaf) {
		n.env.Neighbours = ring.New[l3.Event](learnRing)
		n.env.Proxied = ring.New[proxy.Event](learnRing)
		if n.env.Punts, err = fabric.NewPunts(); err != nil {
			return err
		}
	}
	n.env.Host, err = openHost(cfg, n.linkLocal(cfg))
	return err
}

// punt takes a handshake message from a worker. It does not allocate.
func (n *Node) punt(src netip.AddrPort, msg []byte) bool {
	if len(n.punts) == cap(n.punts) {
		return false
	}
	p := punt{src: src}
	if p.n = copy(p.buf[:], msg); p.n < len(msg) {
		return false
	}
	select {
	case n.punts <- p:
		return true
	default:
		return false
	}
}

// poke wakes the loop. Workers call it once a burst at most.
func (n *Node) poke() {
	select {
	case n.wake <- struct{}{}:
	default:
	}
}

func (n *Node) newBlock(name string) *counter.Block {
	b := new(counter.Block)
	n.blocksMu.Lock()
	n.blocks = append(n.blocks, namedBlock{name, b})
	n.blocksMu.Unlock()
	return b
}

// underlays returns the sockets that are open, by name.
func (n *Node) underlays() map[string]underlay.Conn {
	out := map[string]underlay.Conn{}
	if n.mux != nil {
		out["wireguard"] = n.mux
	}
	if n.plain != nil {
		out["vxlan"] = n.plain
	}
	return out
}

func (n *Node) plainTx() underlay.Sender {
	if n.plain == nil {
		return nil
	}
	return n.plain.NewTx()
}

// startFixed runs the workers of the underlay and of the host stack.
func (n *Node) startFixed() {
	run := func(name string, block *counter.Block, g interface {
		worker.Graph
		Close()
	}) {
		n.fixed = append(n.fixed, fixedWorker{worker.Start(name, g, block, n.events()), g})
	}
	receive := func(kind string, m underlay.Conn, plain bool) {
		for q := range m.Queues() {
			name := fmt.Sprintf("%s.%d", kind, q)
			block := n.newBlock(name)
			run(name, block, fabric.NewUnderlayIn(n.env, name, block, m.Receiver(q), plain, n.mux.NewSender(), n.plainTx()))
		}
	}
	receive("underlay-in", n.mux, false)
	if n.plain != nil {
		receive("vxlan-in", n.plain, true)
	}
	if n.env.Punts != nil {
		block := n.newBlock("gateway")
		run("gateway", block, fabric.NewGateway(n.env, "gateway", block, n.mux.NewSender(), n.plainTx()))
	}
	if n.env.Host != nil {
		block := n.newBlock("host-out")
		run("host-out", block, fabric.NewHostOut(n.env, "host-out", block, n.mux.NewSender()))
	}
}

// schedule gives the Go scheduler a processor for each worker and two for the
// rest. A worker that comes back from a receive call must not wait for another
// worker's processor: which one runs is the kernel's to decide, which knows of
// all of them.
func (n *Node) schedule() {
	threads := len(n.fixed) + 2
	for _, p := range n.ports {
		threads += len(p.workers)
	}
	runtime.GOMAXPROCS(max(threads, runtime.NumCPU()))
}

// events are what workers tell: written to the log, which is off their path.
func (n *Node) events() worker.Events {
	return worker.Events{
		Fault: func(name string, v any, stack []byte) {
			n.log.Error("worker fault contained: the burst in hand was dropped", "worker", name, "fault", fmt.Sprint(v), "stack", string(stack))
		},
		Down: func(name string, err error) {
			if err != nil {
				n.log.Warn("worker waits", "worker", name, "err", err)
			} else {
				n.log.Info("worker goes on", "worker", name)
			}
		},
	}
}

// Config returns the configuration in force. The caller must not change it.
func (n *Node) Config() *config.Node {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.cfg
}

// Close ends the node: workers first, then sockets, keys last. Any number of
// times.
func (n *Node) Close() error {
	n.closing.Do(func() {
		close(n.stop)
		<-n.done
		// While packets still flow: peers are told.
		if n.bfd != nil {
			n.bfd.run.Close()
		}
		if n.bgp != nil {
			n.bgp.close()
		}
		n.closeExternals()
		n.close()
	})
	return nil
}

func (n *Node) close() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, p := range n.ports {
		n.stopPort(p)
	}
	for _, w := range n.fixed {
		w.Stop()
	}
	for _, u := range n.underlays() {
		u.Close()
	}
	n.past.close()
	if n.env != nil && n.env.Host != nil {
		n.env.Host.Close()
	}
	if n.env != nil && n.env.Punts != nil {
		n.env.Punts.Close()
	}
	for _, w := range n.fixed {
		await(n.log, w.Worker)
		w.graph.Close()
	}
	n.say("received packet numbers", n.saveReceived(n.secYs()))
	if n.wg != nil {
		n.wg.Close()
	}
	for _, s := range n.secYs() {
		s.Close()
		retire(n, s.TakeRetired())
	}
	n.wipeRetired() // not what a worker that hangs may be using
}
