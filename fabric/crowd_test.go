package fabric_test

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ztos/ztos/engine/counter"
	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/engine/trace"
	"github.com/ztos/ztos/engine/wire"
	"github.com/ztos/ztos/engine/worker"
	"github.com/ztos/ztos/fabric"
	"github.com/ztos/ztos/macsec"
)

// crowd is a bed whose graphs all run at once, each on a thread of its own, and
// flows that cross it.
type crowd struct {
	*bed
	o       option
	workers []*worker.Worker
	flows   []*flow
	rounds  int // frames of each flow

	inFlight atomic.Int64 // frames of the wire injected and not arrived
	stop     chan struct{}
	control  sync.WaitGroup
	stages   []*stageWorkers
}

// mostInFlight is well below the windows of the bed, 65529 numbers as control has
// them with several queues: so none can be late, however long a thread waits.
const mostInFlight = 6000

// newCrowd returns a bed with the given queues at each port and underlay, which
// wait when they are empty or do not, and flows between all leaves and of all
// kinds.
func newCrowd(t testing.TB, blocking bool, queues, flows, rounds int) *crowd {
	t.Helper()
	o := option{queues: queues, blocking: blocking, suite: macsec.GCMAES128}
	c := &crowd{bed: newBed(t, o), o: o, rounds: rounds, stop: make(chan struct{})}
	c.introduce()
	for i := range flows {
		from := i % 3
		f := &flow{id: i, from: from + 1, to: (from+1+i/3%2)%3 + 1, vni: red, kind: flowKind(i / 12 % int(numKinds))}
		if i/6%2 == 1 {
			f.vni = blue
		}
		c.flows = append(c.flows, f)
	}
	return c
}

// start runs every graph. The test's end ends them.
func (c *crowd) start() {
	was := runtime.GOMAXPROCS(0)
	c.t.Cleanup(func() { runtime.GOMAXPROCS(was) })
	for _, n := range c.nodes {
		for _, g := range n.graphs {
			c.workers = append(c.workers, worker.Start(g.name, g, g.drops, worker.Events{
				Fault: func(w string, v any, stack []byte) { c.t.Errorf("%s: %v\n%s", w, v, stack) },
			}))
		}
	}
	// As control does it: no worker waits for another one's processor.
	runtime.GOMAXPROCS(len(c.workers) + 2)
}

// end stops the workers.
func (c *crowd) end() {
	close(c.stop)
	c.control.Wait()
	for _, n := range c.nodes {
		for _, p := range n.ports {
			p.Close()
		}
		n.mux.Close()
	}
	for _, w := range c.workers {
		<-w.Done()
	}
}

// run sends rounds frames of each flow and waits until all have arrived, in
// order. what, if not nil, is called when half of the frames of one port were sent,
// with the other half to follow.
func (c *crowd) run(what func()) {
	c.t.Helper()
	total := int64(0)
	half, done := make(chan struct{}, 6), make(chan struct{}) // half is sent; what was done
	var senders sync.WaitGroup
	type where struct {
		leaf int
		vni  table.VNI
	}
	by := map[where][]*flow{}
	for _, f := range c.flows {
		by[where{f.from, f.vni}] = append(by[where{f.from, f.vni}], f)
		_, _, segs := (&flow{kind: f.kind, from: 1, to: 2}).frame()
		total += int64(segs * c.rounds)
	}
	for at, flows := range by {
		senders.Go(func() { c.inject(at.leaf, at.vni, flows, half, done) })
	}
	if what == nil {
		close(done)
	}
	arrived := int64(0)
	tick := time.NewTicker(200 * time.Microsecond)
	defer tick.Stop()
	quiet := time.Now()
	for arrived < total {
		select {
		case <-tick.C:
		case <-half:
			if what != nil {
				what()
				close(done)
				what = nil
			}
		}
		n, err := c.collect()
		if err != nil {
			c.noDrops()
			c.t.Fatal(err)
		}
		if n > 0 {
			quiet = time.Now()
		}
		arrived += n
		c.inFlight.Add(-n)
		if time.Since(quiet) > 20*time.Second {
			c.noDrops()
			c.t.Fatalf("%d of %d frames arrived, and no more come; the underlay lost %d", arrived, total, c.sw.Lost())
		}
	}
	senders.Wait()
	if n, err := c.collect(); n != 0 || err != nil {
		c.t.Errorf("%d frames more than were sent: %v", n, err)
	}
	for _, f := range c.flows {
		if f.due != f.next {
			c.t.Errorf("flow %d: up to %d arrived of %d", f.id, f.due, f.next)
		}
	}
	c.noDrops()
	if lost := c.sw.Lost(); lost > 0 {
		c.t.Errorf("the underlay lost %d datagrams", lost)
	}
}

// inject sends the flows of one port in turn, each to the queue that a fanout
// would choose for it. In the middle it says so on half and waits for done.
func (c *crowd) inject(leaf int, vni table.VNI, flows []*flow, half chan<- struct{}, done <-chan struct{}) {
	p := c.nodes[fmt.Sprintf("leaf%d", leaf)].ports[vni]
	for round := range c.rounds {
		if round == c.rounds/2 {
			half <- struct{}{}
			<-done
		}
		for _, f := range flows {
			b, o, segs := f.frame()
			for c.inFlight.Add(int64(segs)) > mostInFlight {
				c.inFlight.Add(int64(-segs))
				time.Sleep(50 * time.Microsecond) // paces the sender, as a full device does
			}
			q := int(uint32(f.id) * 2654435769 >> 16 % uint32(c.o.queues))
			if !p.Inject(q, b, o) {
				c.t.Errorf("%s queue %d: the port refused a frame", p.Name(), q)
			}
		}
	}
}

// collect checks what ports have sent since the last call.
func (c *crowd) collect() (segs int64, err error) {
	for i := 1; i <= 3; i++ {
		for vni, p := range c.nodes[fmt.Sprintf("leaf%d", i)].ports {
			for _, s := range p.Sent() {
				id, ok := flowOf(s.Frame)
				if !ok || id < 0 || id >= len(c.flows) {
					return segs, fmt.Errorf("leaf%d sent a frame of no flow: %x", i, s.Frame[:min(60, len(s.Frame))])
				}
				f := c.flows[id]
				if f.to != i || f.vni != vni {
					return segs, fmt.Errorf("leaf%d VNI %d sent a frame of flow %d, which is for leaf%d VNI %d", i, vni, id, f.to, f.vni)
				}
				n, err := f.arrived(s)
				if err != nil {
					return segs, err
				}
				segs += int64(n)
			}
		}
	}
	return segs, nil
}

// busyControl does what control may do at any time, over and over, to every
// node: publish a new snapshot and wait until it is settled, look at sessions,
// MACsec and counters.
func (c *crowd) busyControl() {
	for _, n := range c.nodes {
		c.control.Go(func() {
			for {
				gen := n.tables.Publish(fabric.NewSnapshot(n.parts))
				for !n.tables.Settled(gen) {
					time.Sleep(100 * time.Microsecond) // as control asks
				}
				for _, y := range n.secys {
					y.Counters()
					y.TxSA(0)
				}
				n.env.Sessions.Len()
				for _, p := range n.parts.Peers {
					n.wg.Status(c.now, p.WireGuard.PublicKey())
				}
				select {
				case <-c.stop:
					return
				case <-time.After(time.Millisecond):
				}
			}
		})
	}
}

// rollOver makes every leaf seal with new keys, which all others have first.
func (c *crowd) rollOver() {
	key := func(vni table.VNI, leaf int) macsec.TxSAConfig {
		return macsec.TxSAConfig{AN: 1, SAK: sak(vni, leaf+8, c.o.suite.KeyLen()), Granted: macsec.Unlimited}
	}
	for _, vni := range []table.VNI{red, blue} {
		for i := 1; i <= 3; i++ {
			for j := 1; j <= 3; j++ {
				if i != j {
					y := c.nodes[fmt.Sprintf("leaf%d", i)].secys[vni]
					_, err := y.InstallRxSA(sci(vni, j), macsec.RxSAConfig{AN: 1, SAK: key(vni, j).SAK})
					c.must(err)
				}
			}
		}
		for i := 1; i <= 3; i++ {
			y := c.nodes[fmt.Sprintf("leaf%d", i)].secys[vni]
			_, err := y.InstallTxSA(key(vni, i))
			c.must(err)
			c.must(y.UseAN(1))
		}
	}
}

// stageWorkers notes which worker of one node had which flow. Its tap's lock
// guards it.
type stageWorkers struct {
	node   string
	of     map[any]string // by flow
	faults []string
	used   map[string]int // frames by worker
}

// outerKey tells outer flows apart where the inner one can't be seen.
type outerKey struct {
	src  netip.Addr
	vni  table.VNI
	port uint16
}

// watch notes at spines and receiving leaves which worker has which flow.
func (c *crowd) watch() {
	for name, n := range c.nodes {
		s := &stageWorkers{node: name, of: map[any]string{}, used: map[string]int{}}
		c.stages = append(c.stages, s)
		n.tap.Capture([]trace.Stage{trace.OuterRoute, trace.MACsecValidate}, trace.Filter{Match: func(r *trace.Record) bool {
			s.note(r)
			return false
		}}, 0, 1)
	}
}

func (s *stageWorkers) note(r *trace.Record) {
	var key any
	if r.Stage == trace.OuterRoute {
		p := r.Data
		key = outerKey{
			netip.AddrFrom4([4]byte(p[12:16])),
			table.VNI(binary.BigEndian.Uint32(p[wire.IPv4Len+wire.UDPLen+4:]) >> 8),
			binary.BigEndian.Uint16(p[wire.IPv4Len:]),
		}
	} else if id, ok := flowOf(r.Data); ok {
		key = id
	} else {
		return
	}
	s.used[r.Worker]++
	if w, ok := s.of[key]; ok && w != r.Worker {
		s.faults = append(s.faults, fmt.Sprintf("%s: flow %v was at %q and at %q", s.node, key, w, r.Worker))
	}
	s.of[key] = r.Worker
}

// checkStages fails the test when a flow changed its worker, or when a node left
// most of its workers idle.
func (c *crowd) checkStages() {
	c.t.Helper()
	for _, s := range c.stages {
		for _, f := range s.faults[:min(len(s.faults), 5)] {
			c.t.Error(f)
		}
		if n := len(s.used); 2*n < c.o.queues || n < 2 {
			c.t.Errorf("%s: %d of %d workers had frames: %v", s.node, n, c.o.queues, s.used)
		}
		c.t.Logf("%s: %d flows on %d of %d underlay workers", s.node, len(s.of), len(s.used), c.o.queues)
	}
	for _, n := range c.nodes {
		if d := n.dropped(counter.WGReplayed) + n.dropped(counter.MACsecReplayed) + n.dropped(counter.MACsecLate); d > 0 {
			c.t.Errorf("%s: %d frames were taken for replays", n.name, d)
		}
	}
}

// size returns how large a crowd is: smaller under the race detector.
func size() (queues, flows, rounds int) {
	if raceEnabled {
		return 4, 120, 6
	}
	return 8, 480, 15
}

// TestManyQueues: with many more workers than cores, leaf in, spine and leaf out
// by eight queues each, every frame of hundreds of flows arrives exactly once and
// in the order of its flow, each flow on one worker per stage, while control
// publishes snapshots all the time and MACsec changes its keys in the middle.
func TestManyQueues(t *testing.T) {
	queues, flows, rounds := size()
	c := newCrowd(t, true, queues, flows, rounds)
	c.watch()
	c.start()
	defer c.end()
	c.busyControl()
	c.run(c.rollOver)
	c.checkStages()
	for i := 1; i <= 3; i++ {
		for vni, y := range c.nodes[fmt.Sprintf("leaf%d", i)].secys {
			if old, fresh := y.TxSA(0).OutPkts(), y.TxSA(1).OutPkts(); old == 0 || fresh == 0 {
				t.Errorf("leaf%d VNI %d: %d frames with the old key, %d with the new; want both", i, vni, old, fresh)
			}
		}
	}
}
