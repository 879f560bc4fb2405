package fabric

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/ztos/ztos/crypto/secret"
	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/wireguard"
)

// White-box: neither table has an exported door.

func TestVNITableAgreesWithMap(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 1))
	for _, n := range []int{0, 1, 2, 3, 100, 16000} {
		m := map[table.VNI]int{}
		for i := range n {
			vni := table.VNI(10000 + i) // as operators number them
			if i%3 == 0 {
				vni = table.VNI(1 + r.Uint32N(uint32(table.MaxVNI)))
			}
			m[vni] = i
		}
		tab := newVNITable(m)
		for vni, want := range m {
			if got, ok := tab.lookup(vni); !ok || got != want {
				t.Fatalf("seed %d, %d VNIs: lookup(%d) = %d, %v; want %d", seed, n, vni, got, ok, want)
			}
		}
		for range 1000 {
			vni := table.VNI(r.Uint32N(uint32(table.MaxVNI) + 1))
			if _, want := m[vni]; !want {
				if got, ok := tab.lookup(vni); ok {
					t.Fatalf("seed %d: lookup(%d) found %d", seed, vni, got)
				}
			}
		}
	}
}

// sleeper returns a peer that no packet can be sealed for.
func sleeper(t *testing.T) *Peer {
	t.Helper()
	key := make([]byte, 32)
	key[5] = 9
	k, _ := secret.New(key).Key32()
	n, err := wireguard.NewNode(wireguard.Config{Private: k, Wall: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	p, err := n.AddPeer(1, wireguard.PeerConfig{PublicKey: wireguard.PublicKey{9}})
	if err != nil {
		t.Fatal(err)
	}
	return &Peer{Name: "asleep", WireGuard: p}
}

func TestPickSpreadsAndStays(t *testing.T) {
	r := &Route{Paths: []*Peer{{Name: "a"}, {Name: "b"}, {Name: "c"}}}
	const flows = 30000
	count := map[*Peer]int{}
	own := make([]*Peer, flows)
	hash := func(i int) uint32 { return uint32(i+1) * 2654435769 }
	for i := range flows {
		own[i] = r.pick(hash(i), 1)
		count[own[i]]++
	}
	for p, n := range count {
		if n < flows/3-flows/20 || n > flows/3+flows/20 {
			t.Errorf("peer %s has %d of %d flows, want about a third", p.Name, n, flows)
		}
	}
	// One peer falls asleep: its flows move, the others stay.
	asleep := sleeper(t)
	gone := r.Paths[1]
	r.Paths[1] = asleep
	for i := range flows {
		got := r.pick(hash(i), 1)
		if got == asleep {
			t.Fatal("a flow was given to a peer that takes none")
		}
		if own[i] != gone && got != own[i] {
			t.Fatal("a flow moved although its peer is up")
		}
	}
	// All asleep: the flow's own peer, so that its drop is counted there.
	all := &Route{Paths: []*Peer{asleep}}
	if got := all.pick(7, 1); got != asleep {
		t.Errorf("with no peer up pick returned %v", got.Name)
	}
}
