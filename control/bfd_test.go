package control

import (
	"log/slog"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/fabric/bfd"
	"github.com/ztos/ztos/wireguard"
)

// bfdBed is a bfdService without sockets, on a clock of its own.
type bfdBed struct {
	*bfdService
	cfg   *config.Node
	peers map[string]*peerState
	at    int64
	cut   []string // BGP neighbours that were told
	vteps []netip.Addr
}

func newBFDBed(t *testing.T) *bfdBed {
	t.Helper()
	cfg, err := config.Parse([]byte(`
node: {name: leaf1, roles: [leaf], address: 10.255.0.1}
wireguard: {private-key-file: /etc/ztos/wg.key}
peers:
- {name: spine1, public-key: AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=, allowed-ips: [10.255.1.1/32, 10.255.0.0/24]}
- {name: leaf2, public-key: ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=, allowed-ips: [10.255.0.2/32]}
bgp:
  asn: 65000
  neighbors: [{address: 10.255.1.1}, {address: 10.255.0.2}]
bfd:
  hold-up: 2s
  neighbors:
  - {address: 10.255.1.1}
  - {address: 10.255.0.2}
  - {address: 10.255.0.9, name: far, key-file: /k}
`), "")
	if err != nil {
		t.Fatal(err)
	}
	b := &bfdBed{cfg: cfg, peers: map[string]*peerState{}, at: 1, vteps: []netip.Addr{netip.MustParseAddr("10.255.0.2")}}
	for _, p := range cfg.Peers {
		b.peers[p.Name] = &peerState{wg: new(wireguard.Peer)}
	}
	b.bfdService = &bfdService{
		log: slog.New(slog.DiscardHandler), poke: func() {}, now: func() int64 { return b.at },
		lost: func(name string, grace bool) {
			if grace {
				name += " with grace"
			}
			b.cut = append(b.cut, name)
		},
	}
	b.rebind()
	return b
}

func (b *bfdBed) rebind() {
	b.bind(b.cfg, b.peers, func(a netip.Addr) bool { return slices.Contains(b.vteps, a) })
}

func (b *bfdBed) withheld(peer string) bool { return b.peers[peer].wg.Withheld() }

func (b *bfdBed) event(name string, from, to bfd.State, more func(e *bfd.Event)) {
	e := bfd.Event{Name: name, From: from, To: to, Independent: true}
	if more != nil {
		more(&e)
	}
	b.hear([]bfd.Event{e})
}

// fail takes a session down, and wants work to be told of it once, and once more
// when it has stayed down for long enough.
func (b *bfdBed) fail(t *testing.T, name string, more func(e *bfd.Event)) {
	t.Helper()
	b.cut = nil
	b.event(name, bfd.Up, bfd.Down, more)
	failed, dead := 0, 0
	work := func() int64 {
		return b.work(b.at, func(*bfdLink) { failed++ }, func(*bfdLink) { dead++ })
	}
	for range 2 {
		if next := work(); failed != 1 || dead != 0 || b.cut != nil || next != b.at+confirm {
			t.Errorf("told of the failure %d times, of the end %d times, BGP of %v; next %d", failed, dead, b.cut, next)
		}
	}
	b.at += confirm
	for range 2 {
		if work(); failed != 1 || dead != 1 {
			t.Errorf("told of the failure %d times, of the end %d times", failed, dead)
		}
	}
}

// quiet is work that must be told of nothing.
func (b *bfdBed) quiet(t *testing.T) (next int64) {
	t.Helper()
	nothing := func(*bfdLink) { t.Error("told of a failure that was none") }
	return b.work(b.at, nothing, nothing)
}

// TestBFDFailure: what a failure does to flows and to BGP, and when flows come back.
func TestBFDFailure(t *testing.T) {
	b := newBFDBed(t)
	// Coming up, or not, is no failure.
	b.event("spine1", bfd.Down, bfd.Init, nil)
	b.event("spine1", bfd.Init, bfd.Down, nil)
	b.event("spine1", bfd.Down, bfd.Up, nil)
	if next := b.quiet(t); next != 0 || b.withheld("spine1") || b.cut != nil {
		t.Errorf("next %d, cut %v", next, b.cut)
	}
	// A reflector keeps its grace.
	b.fail(t, "spine1", nil)
	if !b.withheld("spine1") || b.withheld("leaf2") || !slices.Equal(b.cut, []string{"spine1 with grace"}) {
		t.Errorf("withheld %v, cut %v", b.withheld("spine1"), b.cut)
	}
	// It is up again, fails while it is held, and is up for long enough.
	b.event("spine1", bfd.Down, bfd.Up, nil)
	if next := b.quiet(t); next != b.at+int64(2*time.Second) || !b.withheld("spine1") {
		t.Errorf("next %d", next)
	}
	b.at += int64(time.Second)
	b.fail(t, "spine1", nil)
	b.at += int64(10 * time.Second)
	if next := b.quiet(t); next != 0 || !b.withheld("spine1") {
		t.Errorf("next %d; let back while it is down", next)
	}
	b.event("spine1", bfd.Init, bfd.Up, nil)
	b.at += int64(2*time.Second) - 1
	if b.quiet(t); !b.withheld("spine1") {
		t.Error("let back too early")
	}
	b.at++
	if next := b.quiet(t); next != 0 || b.withheld("spine1") {
		t.Errorf("not let back; next %d", next)
	}
	// A VTEP's routes go at once, unless BFD may have died with its control.
	b.fail(t, "leaf2", nil)
	if !b.withheld("leaf2") || !slices.Equal(b.cut, []string{"leaf2"}) {
		t.Errorf("cut %v", b.cut)
	}
	b.fail(t, "leaf2", func(e *bfd.Event) { e.Independent = false })
	if !slices.Equal(b.cut, []string{"leaf2 with grace"}) {
		t.Errorf("cut %v", b.cut)
	}
	// Switched off there: nobody says any more that the path is dead.
	b.event("leaf2", bfd.Up, bfd.Down, func(e *bfd.Event) { e.TheirAdmin = true })
	if b.quiet(t); b.withheld("leaf2") {
		t.Error("withheld by a session that was switched off")
	}
	// A session over several hops has no peer of its own, nor one in BGP.
	b.fail(t, "far", nil)
	if b.withheld("spine1") || b.withheld("leaf2") || b.cut != nil {
		t.Errorf("cut %v", b.cut)
	}
}

// TestBFDMoment: a neighbour that is back at once loses flows, and nothing of BGP.
func TestBFDMoment(t *testing.T) {
	b := newBFDBed(t)
	b.event("leaf2", bfd.Up, bfd.Down, nil)
	if !b.withheld("leaf2") {
		t.Error("flows do not leave at once")
	}
	b.at += confirm - 1
	b.event("leaf2", bfd.Init, bfd.Up, nil)
	b.at += confirm
	b.work(b.at, func(*bfdLink) {}, func(*bfdLink) { t.Error("a moment was taken for an end") })
	if b.cut != nil || !b.withheld("leaf2") {
		t.Errorf("BGP was told of %v; withheld %v, want it until it has been up for long enough", b.cut, b.withheld("leaf2"))
	}
}

// TestBFDRelieve: flows are not kept from a path that is up again while another one
// is dead, whichever came first.
func TestBFDRelieve(t *testing.T) {
	b := newBFDBed(t)
	up := func(name string) { b.event(name, bfd.Init, bfd.Up, nil) }
	down := func(name string) { b.event(name, bfd.Up, bfd.Down, nil) }
	down("spine1")
	up("spine1")
	if !b.withheld("spine1") {
		t.Error("not held, with no other peer dead")
	}
	down("leaf2")
	if b.withheld("spine1") || !b.withheld("leaf2") {
		t.Error("held while the other is dead")
	}
	down("spine1")
	up("spine1")
	if b.withheld("spine1") || !b.withheld("leaf2") {
		t.Error("held while the other was dead before")
	}
}

// TestBFDBind: an apply keeps what failed, and lets go of what has no session.
func TestBFDBind(t *testing.T) {
	b := newBFDBed(t)
	b.fail(t, "spine1", nil)
	b.fail(t, "leaf2", nil)
	b.rebind()
	if !b.withheld("spine1") || !b.withheld("leaf2") {
		t.Error("an apply that changed nothing let flows back")
	}
	b.cfg.BFD.Neighbors = b.cfg.BFD.Neighbors[:1]
	b.rebind()
	b.event("spine1", bfd.Down, bfd.Up, nil)
	b.rebind()
	if !b.withheld("spine1") || b.withheld("leaf2") {
		t.Error("a peer without a session is withheld, or one with a session is not")
	}
	b.at += int64(2 * time.Second)
	if b.quiet(t); b.withheld("spine1") {
		t.Error("not let back after applies")
	}
	// Another key: another peer, which is not withheld.
	b.fail(t, "spine1", nil)
	old := b.peers["spine1"].wg
	b.peers["spine1"] = &peerState{wg: new(wireguard.Peer)}
	b.rebind()
	if old.Withheld() || b.withheld("spine1") {
		t.Error("withheld after the peer was replaced")
	}
}

// TestBFDConfigs: the document's sessions as BFD has them.
func TestBFDConfigs(t *testing.T) {
	b := newBFDBed(t)
	b.cfg.BFD.Neighbors[1].Shutdown = config.On
	cs := bfdConfigs(b.cfg, newKeyring())
	if len(cs) != 3 {
		t.Fatalf("%+v", cs)
	}
	want := bfd.Config{
		Name: "spine1", Local: b.cfg.Self.Address, Remote: netip.MustParseAddr("10.255.1.1"), Hops: 1, Tx: 50e6, Rx: 50e6, Mult: 3,
	}
	if cs[0] != want {
		t.Errorf("%+v, want %+v", cs[0], want)
	}
	if !cs[1].Down || cs[1].Multihop() || !cs[2].Multihop() || cs[2].Auth.Type != bfd.MeticulousSHA1 || cs[2].Auth.KeyID != 1 {
		t.Errorf("%+v", cs[1:])
	}
	if bfdConfigs(&config.Node{}, nil) != nil {
		t.Error("sessions without a section")
	}
}
