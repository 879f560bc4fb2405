package wireguard_test

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/ztos/ztos/engine/counter"
	"github.com/ztos/ztos/wireguard"
	"github.com/ztos/ztos/wireguard/noise"
)

// TestRotationModel compares the keypair rotation with the rules of wireguard-go
// (BeginSymmetricSession, ReceivedWithKeypair), written down naively, on random
// handshakes and receptions. It differs in one: a responder keeps the previous
// keypair until the new one is confirmed (see Peer.install).
func TestRotationModel(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	for range 40 {
		w := newWorld(t, nil, nil, nil)
		p := w.a.peer
		var previous, current, next *wireguard.Session
		var all []*wireguard.Session
		retired := map[*wireguard.Session]bool{}
		retire := func(s *wireguard.Session) {
			if s != nil {
				retired[s] = true
			}
		}
		for step := range 120 {
			what := ""
			switch k := r.IntN(5); {
			case k == 0:
				what = "initiated"
				s := p.Install(w.now, [32]byte{1}, [32]byte{2}, 1, true)
				all = append(all, s)
				switch {
				case next != nil:
					retire(current)
					retire(previous)
					previous, next, current = next, nil, s
				default:
					retire(previous)
					previous, current = current, s
				}
			case k == 1:
				what = "responded"
				s := p.Install(w.now, [32]byte{1}, [32]byte{2}, 1, false)
				all = append(all, s)
				retire(next)
				next = s
			case len(all) > 0:
				what = "received"
				s := all[max(0, len(all)-1-r.IntN(4))]
				p.Received(w.now, s, addrB, 1, 1, true)
				if s == next {
					retire(previous)
					previous, current, next = current, next, nil
				}
			}
			a, b, c := p.Keypairs()
			if a != previous || b != current || c != next {
				t.Fatalf("step %d, %s: %v %v %v, want %v %v %v", step, what, a, b, c, previous, current, next)
			}
			for _, s := range all {
				if w.a.Sessions().Lookup(s.Local()) != s && !retired[s] {
					t.Fatalf("step %d, %s: %v is not found", step, what, s)
				}
			}
		}
		// Those that were put out linger for a while, and are gone then.
		w.now += 5*second - 1
		w.a.Tick(w.now)
		lingering := 0
		for s := range retired {
			if w.a.Sessions().Lookup(s.Local()) == s {
				lingering++
			}
		}
		if want := min(len(retired), 8); lingering != want {
			t.Fatalf("%d sessions linger, want %d", lingering, want)
		}
		w.now++
		w.a.Tick(w.now)
		for s := range retired {
			if w.a.Sessions().Lookup(s.Local()) == s {
				t.Fatalf("%v lingers for ever", s)
			}
		}
		if got := len(w.a.TakeRetired()); got != len(retired) {
			t.Fatalf("%d sessions retired, want %d", got, len(retired))
		}
	}
}

// flight is a datagram on its way in the simulated network.
type flight struct {
	at   int64
	to   *end
	msg  []byte
	from *end
}

type sky []flight

func (s sky) Len() int           { return len(s) }
func (s sky) Less(i, j int) bool { return s[i].at < s[j].at }
func (s sky) Swap(i, j int)      { s[i], s[j] = s[j], s[i] }
func (s *sky) Push(x any)        { *s = append(*s, x.(flight)) }
func (s *sky) Pop() any          { x := (*s)[len(*s)-1]; *s = (*s)[:len(*s)-1]; return x }

// network simulates two nodes on virtual time, with delay, reordering and loss.
type network struct {
	*world
	sky
	r         *rand.Rand
	min, more time.Duration // delay: min to min+more
	loss      float64

	sealed, opened map[*end]int
	refused        map[counter.Reason]int // at opening
	unsealed       int
	lastUnsealed   int64
}

func (n *network) launch(from *end, msg []byte) {
	if n.r.Float64() < n.loss {
		return
	}
	d := int64(n.min)
	if n.more > 0 {
		d += n.r.Int64N(int64(n.more))
	}
	heap.Push(&n.sky, flight{n.now + d, n.other(from), msg, from})
}

func (n *network) launchAll(from *end, outs []wireguard.Out) {
	for _, o := range outs {
		n.launch(from, o.Msg)
	}
}

// run goes on for d; each end sends a packet every interval.
func (n *network) run(t *testing.T, d, interval time.Duration) {
	t.Helper()
	stop := n.now + int64(d)
	packet := ipv4(60, inner4)
	next := n.now
	wake := [2]int64{n.now, n.now}
	for n.now < stop {
		for len(n.sky) > 0 && n.sky[0].at <= n.now {
			f := heap.Pop(&n.sky).(flight)
			if noise.Classify(f.msg) != noise.TypeData {
				n.launchAll(f.to, f.to.HandleMessage(n.now, f.from.addr, f.msg))
			} else if plain, r := n.open(f.to, f.from.addr, f.msg); r != counter.None {
				n.refused[r]++
			} else if len(plain) > 0 {
				n.opened[f.to]++
			}
			wake = [2]int64{n.now, n.now} // a worker may have woken control
		}
		if interval > 0 && n.now >= next {
			next += int64(interval)
			for _, e := range []*end{n.a, n.b} {
				if msg, r := n.seal(e, packet); r == counter.None {
					n.sealed[e]++
					n.launch(e, msg)
				} else {
					n.unsealed++
					n.lastUnsealed = n.now
				}
			}
			wake = [2]int64{n.now, n.now}
		}
		for i, e := range []*end{n.a, n.b} {
			if n.now >= wake[i] {
				n.launchAll(e, e.Tick(n.now))
				wake[i] = e.NextDeadline(n.now)
				e.TakeRetired()
			}
		}
		at := min(wake[0], wake[1], stop)
		if interval > 0 {
			at = min(at, next)
		}
		if len(n.sky) > 0 {
			at = min(at, n.sky[0].at)
		}
		n.now = max(at, n.now)
	}
}

func newNetwork(t *testing.T, seed uint64, modA, modB func(*wireguard.PeerConfig)) *network {
	return &network{
		world: newWorld(t, nil, modA, modB), r: rand.New(rand.NewPCG(seed, 0)),
		sealed: map[*end]int{}, opened: map[*end]int{}, refused: map[counter.Reason]int{},
	}
}

// TestNoLoss: with traffic both ways for half an hour every packet that was sealed
// arrives, through some fifteen renewals, whoever has to begin them, also when both
// began at the same moment. The network delays and reorders, but does not lose.
func TestNoLoss(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	on := func(c *wireguard.PeerConfig) { c.AlwaysOn = true }
	live := func(c *wireguard.PeerConfig) { c.Liveness = wireguard.Liveness{Interval: 300 * time.Millisecond} }
	for _, tt := range []struct {
		name      string
		a, b      func(*wireguard.PeerConfig)
		min, more time.Duration
	}{
		{"by traffic", nil, nil, 5 * time.Millisecond, 20 * time.Millisecond},
		{"one always on", on, nil, 5 * time.Millisecond, 20 * time.Millisecond},
		{"both always on", on, on, 5 * time.Millisecond, 20 * time.Millisecond},
		{"both always on, equal delay", on, on, 10 * time.Millisecond, 0},
		{"liveness", live, live, 10 * time.Millisecond, 5 * time.Millisecond},
		{"far away", on, on, 150 * time.Millisecond, 50 * time.Millisecond},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := newNetwork(t, seed, tt.a, tt.b)
			n.min, n.more = tt.min, tt.more
			n.run(t, 30*time.Minute, 100*time.Millisecond)
			for n.now += second; len(n.sky) > 0; { // what is still in the air
				f := heap.Pop(&n.sky).(flight)
				if noise.Data(f.msg).Valid() {
					if plain, r := n.open(f.to, f.from.addr, f.msg); r != counter.None {
						n.refused[r]++
					} else if len(plain) > 0 {
						n.opened[f.to]++
					}
				}
			}
			for _, e := range []*end{n.a, n.b} {
				if got, want := n.opened[n.other(e)], n.sealed[e]; got != want {
					t.Errorf("%d of %d packets arrived", got, want)
				}
			}
			if len(n.refused) != 0 {
				t.Errorf("refused: %v", n.refused)
			}
			// Only before the first session could nothing be sealed.
			if n.lastUnsealed > 10*second {
				t.Errorf("no session at %v", time.Duration(n.lastUnsealed))
			}
			inits := n.a.Count(wireguard.InitiationSent) + n.b.Count(wireguard.InitiationSent)
			if inits < 10 || inits > 20 {
				t.Errorf("%d initiations in half an hour", inits)
			}
		})
	}
}

// TestLossyNetwork: with every fifth datagram lost the sessions are renewed all
// the same, and nothing is ever refused for another reason than being late for
// its session.
func TestLossyNetwork(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	live := func(c *wireguard.PeerConfig) {
		c.Liveness = wireguard.Liveness{Interval: 300 * time.Millisecond, Multiplier: 10}
	}
	for i := range uint64(2) {
		n := newNetwork(t, seed+i, live, live)
		n.min, n.more, n.loss = 5*time.Millisecond, 30*time.Millisecond, 0.2
		n.run(t, 30*time.Minute, 100*time.Millisecond)
		sealed := n.sealed[n.a] + n.sealed[n.b]
		opened := n.opened[n.a] + n.opened[n.b]
		if share := float64(opened) / float64(sealed); share < 0.77 || share > 0.83 {
			t.Errorf("%.3f of the packets arrived, want 0.8", share)
		}
		if n.unsealed > sealed/100 {
			t.Errorf("no session for %d of %d packets", n.unsealed, sealed)
		}
		for r, k := range n.refused {
			if r != counter.WGUnknownIndex || k > 10 {
				t.Errorf("%d refused: %v", k, r)
			}
		}
	}
}

// TestPartition: a network that is cut for ten minutes heals within seconds.
func TestPartition(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	live := func(c *wireguard.PeerConfig) { c.Liveness = wireguard.Liveness{Interval: 300 * time.Millisecond} }
	n := newNetwork(t, seed, live, live)
	n.min = 5 * time.Millisecond
	n.run(t, time.Minute, 50*time.Millisecond)
	n.loss = 1
	n.run(t, 10*time.Minute, 50*time.Millisecond)
	if !n.a.peer.Down() || !n.b.peer.Down() {
		t.Error("not down in a cut network")
	}
	n.loss = 0
	healed := n.now
	n.run(t, 20*time.Second, 50*time.Millisecond)
	if n.a.peer.Down() || n.b.peer.Down() {
		t.Fatal("still down 20 s after the network healed")
	}
	if d := time.Duration(n.lastUnsealed - healed); d > 7*time.Second {
		t.Errorf("healed after %v, want 5 s and jitter at most", d)
	}
	if got := fmt.Sprint(n.refused); n.refused[counter.WGAuthFailed]+n.refused[counter.WGReplayed] > 0 {
		t.Errorf("refused: %v", got)
	}
}
