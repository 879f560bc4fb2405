package wireguard_test

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/ztos/ztos/crypto/secret"
	"github.com/ztos/ztos/wireguard"
	"github.com/ztos/ztos/wireguard/noise"
)

// crowd returns a node with n peers that never answer. Each wants a session.
func crowd(t testing.TB, now int64, n int) *wireguard.Node {
	t.Helper()
	key := func(i int) secret.Key32 {
		var k [32]byte
		binary.BigEndian.PutUint32(k[4:], uint32(i))
		return secret.New32(&k)
	}
	node, err := wireguard.NewNode(wireguard.Config{Private: key(1), Wall: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		id, err := noise.NewIdentity(key(i + 2))
		if err != nil {
			t.Fatal(err)
		}
		_, err = node.AddPeer(now, wireguard.PeerConfig{
			PublicKey: id.Public(), AlwaysOn: true,
			Endpoint: netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, 1}), uint16(i+1)),
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return node
}

// TestTickLooksAtWhatIsDue: how often control looks at a peer does not depend on
// how many there are.
func TestTickLooksAtWhatIsDue(t *testing.T) {
	looks := func(n int) float64 {
		now := int64(1)
		node := crowd(t, now, n)
		sent := 0
		for end := now + int64(20*time.Second); now < end; now = max(node.NextDeadline(now), now+int64(time.Millisecond)) {
			sent += len(node.Tick(now))
		}
		if sent < 3*n || sent > 5*n {
			t.Errorf("%d peers: %d initiations in 20 s, want about 4 each", n, sent)
		}
		return float64(node.Looks()) / float64(n)
	}
	few, many := looks(8), looks(256)
	if many > 2*few {
		t.Errorf("a peer among 256 was looked at %.1f times, among 8 %.1f times", many, few)
	}
}

// TestRemovedPeerIsNotLookedAt: what a worker asked for a peer that control
// removes meanwhile is nobody's wish.
func TestRemovedPeerIsNotLookedAt(t *testing.T) {
	now := int64(1)
	node := crowd(t, now, 3)
	node.Tick(now)
	gone := node.Peers()[1]
	gone.Reserve(now, 1)
	if err := node.RemovePeer(gone.PublicKey()); err != nil {
		t.Fatal(err)
	}
	gone.Reserve(now, 1)
	now += int64(time.Minute)
	for _, o := range node.Tick(now) {
		if o.Peer == gone {
			t.Error("a message was sent for a removed peer")
		}
	}
	if at := node.NextDeadline(now); at <= now {
		t.Errorf("next deadline %d at %d", at, now)
	}
}

func BenchmarkTick(b *testing.B) {
	for _, n := range []int{10, 1000} {
		b.Run(fmt.Sprintf("peers=%d", n), func(b *testing.B) {
			now := int64(1)
			node := crowd(b, now, n)
			node.Tick(now)
			for b.Loop() {
				now += 1000
				node.Tick(now)
				node.NextDeadline(now)
			}
		})
	}
}
