package l3_test

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/l3"
)

const sec = int64(1e9)

// book is Neighbours with one link, whose times go on by tick.
type book struct {
	t *testing.T
	*l3.Neighbours
	now int64
}

func newBook(t *testing.T, change func(*l3.LinkConfig)) *book {
	b := &book{t, l3.NewNeighbours(), sec}
	b.link(change)
	return b
}

func (b *book) link(change func(*l3.LinkConfig)) {
	c := l3.LinkConfig{VNI: vni1, Prefixes: []netip.Prefix{pfx("10.1.1.0/24"), pfx("fd00:1::/64")}}
	if change != nil {
		change(&c)
	}
	b.SetLink(c, b.now)
}

// see lets a host say where it is.
func (b *book) see(a string, mac table.MAC) {
	b.Work(l3.Event{Kind: l3.Seen, VNI: vni1, Addr: addr(a), MAC: mac}, b.now)
}

func (b *book) want(a string) {
	b.Work(l3.Event{Kind: l3.Wanted, VNI: vni1, Addr: addr(a)}, b.now)
}

// expect compares what has become of neighbours, in words.
func (b *book) expect(what string, want ...string) {
	b.t.Helper()
	var got []string
	for _, c := range b.TakeChanges() {
		got = append(got, fmt.Sprintf("%v %v %x", c.Host.Addr, c.Kind, uint64(c.MAC)))
		if mac, ok := c.Host.MAC(); ok != (c.MAC != 0) && c.Kind != l3.Full {
			b.t.Errorf("%s: the cell of %v has %v", what, c.Host.Addr, mac)
		}
	}
	if !slices.Equal(got, want) {
		b.t.Errorf("%s: %q, want %q", what, got, want)
	}
}

// tick goes on by d and compares what is asked.
func (b *book) tick(d int64, want ...string) {
	b.t.Helper()
	b.now += d
	probes, _ := b.Tick(b.now)
	var got []string
	for _, p := range probes {
		got = append(got, fmt.Sprintf("%v %x", p.Addr, uint64(p.MAC)))
	}
	if !slices.Equal(got, want) {
		b.t.Errorf("at %d s: asked %q, want %q", b.now/sec, got, want)
	}
}

func TestResolve(t *testing.T) {
	b := newBook(t, nil)
	b.want("10.1.1.5")
	b.want("10.1.1.5")
	b.tick(0, "10.1.1.5 0")
	b.tick(sec / 2)
	b.tick(sec/2, "10.1.1.5 0")
	b.see("10.1.1.5", 0xa)
	b.expect("answered", "10.1.1.5 resolved a")
	b.tick(sec)

	b.want("10.1.1.6")
	b.tick(0, "10.1.1.6 0")
	b.tick(sec, "10.1.1.6 0")
	b.tick(sec, "10.1.1.6 0")
	b.tick(sec)
	b.expect("nobody answers")
	if got := slices.Collect(b.All(vni1)); len(got) != 1 || got[0].State != l3.Reachable {
		t.Errorf("left: %+v", got)
	}
	b.want("10.1.1.6") // and is asked for again
	b.tick(0, "10.1.1.6 0")
	b.want("10.9.9.9")
	b.Work(l3.Event{Kind: l3.Wanted, VNI: vni2, Addr: addr("10.1.1.7")}, b.now)
	b.tick(0)
}

// TestAge: a host that says nothing is asked, and lost when it does not answer.
func TestAge(t *testing.T) {
	b := newBook(t, nil)
	b.see("10.1.1.5", 0xa)
	b.see("fd00:1::5", 0xb)
	b.expect("seen", "10.1.1.5 resolved a", "fd00:1::5 resolved b")
	b.tick(269 * sec) // not before nine tenths of 300 s
	b.see("10.1.1.5", 0xa)
	b.expect("seen again")
	b.tick(32*sec, "fd00:1::5 b")
	b.tick(sec, "fd00:1::5 b")
	b.see("fd00:1::5", 0xb)
	b.tick(10 * sec)
	b.see("fd00:1::5", 0xb)
	b.tick(258*sec, "10.1.1.5 a")
	b.tick(sec, "10.1.1.5 a")
	b.tick(sec, "10.1.1.5 a")
	b.expect("not yet lost")
	b.tick(sec)
	b.expect("lost", "10.1.1.5 lost 0")
	if n := b.Host(vni1, addr("10.1.1.5")); n != nil {
		t.Errorf("%v is still there", n.Addr)
	}
}

func TestMove(t *testing.T) {
	b := newBook(t, nil)
	b.see("10.1.1.5", 0xa)
	cell := b.Host(vni1, addr("10.1.1.5"))
	b.see("10.1.1.5", 0xc)
	b.expect("moved", "10.1.1.5 resolved a", "10.1.1.5 moved c")
	if mac, ok := cell.MAC(); !ok || mac != 0xc {
		t.Errorf("the cell has %v", mac)
	}
}

func TestStaticAndHeld(t *testing.T) {
	b := newBook(t, func(c *l3.LinkConfig) {
		c.Statics = map[netip.Addr]table.MAC{addr("10.1.1.7"): 0x7}
		c.Held = []netip.Addr{addr("10.1.1.9")}
	})
	b.expect("at the start", "10.1.1.7 resolved 7")
	b.see("10.1.1.7", 0xf)
	b.expect("a static one does not move")
	hop := b.Host(vni1, addr("10.1.1.9"))
	if hop == nil {
		t.Fatal("a held next hop has no cell")
	}
	b.tick(0, "10.1.1.9 0")
	b.tick(sec, "10.1.1.9 0")
	b.tick(sec, "10.1.1.9 0")
	b.tick(sec, "10.1.1.9 0") // and from now on every 10 s
	b.tick(9 * sec)
	b.tick(sec, "10.1.1.9 0")
	b.see("10.1.1.9", 0x9)
	b.expect("it answers", "10.1.1.9 resolved 9")
	for range 4 {
		b.tick(0)
		b.now += 301 * sec
		b.Tick(b.now)
		b.now += sec
		b.Tick(b.now)
		b.now += sec
		b.Tick(b.now)
		b.now += sec
		b.Tick(b.now)
		b.expect("it is silent", "10.1.1.9 lost 0")
		if b.Host(vni1, addr("10.1.1.9")) != hop {
			t.Fatal("a held next hop has another cell")
		}
		b.see("10.1.1.9", 0x9)
		b.expect("it is back", "10.1.1.9 resolved 9")
	}
	b.link(nil)
	b.expect("no longer configured", "10.1.1.7 lost 0")
	b.see("10.1.1.7", 0xf)
	b.expect("and learned", "10.1.1.7 resolved f")
	b.link(func(c *l3.LinkConfig) { c.Prefixes = c.Prefixes[1:] })
	b.expect("the subnet goes", "10.1.1.7 lost 0", "10.1.1.9 lost 0")
	b.see("fd00:1::5", 5)
	b.expect("learned", "fd00:1::5 resolved 5")
	b.RemoveLink(vni1)
	b.expect("the link goes", "fd00:1::5 lost 0")
	b.see("fd00:1::5", 5)
	b.expect("nothing is learned then")
}

func TestLimits(t *testing.T) {
	b := newBook(t, func(c *l3.LinkConfig) { c.Limit = 3 })
	for i := range 5 {
		b.want(fmt.Sprintf("10.1.1.%d", 10+i))
	}
	b.tick(0, "10.1.1.10 0", "10.1.1.11 0", "10.1.1.12 0")
	b.see("10.1.1.10", 1)
	b.see("10.1.1.20", 2)
	b.expect("full", "10.1.1.10 resolved 1", "10.1.1.20 limit reached 2")

	// A scan does not keep hosts from being learned.
	b = newBook(t, func(c *l3.LinkConfig) { c.Prefixes = append(c.Prefixes, pfx("10.2.0.0/16")) })
	for i := range 1000 {
		b.want(fmt.Sprintf("10.2.%d.%d", i/250, i%250+1))
	}
	if probes, _ := b.Tick(b.now); len(probes) != 256 {
		t.Errorf("%d asked for at a time, want 256", len(probes))
	}
	b.see("10.2.9.9", 9)
	b.expect("learned", "10.2.9.9 resolved 9")
	b.now += sec
	for range 3 {
		b.Tick(b.now)
		b.now += sec
	}
	b.want("10.2.10.1") // the others were given up
	b.tick(0, "10.2.10.1 0")
}

// TestChatter: a host that says where it is all the time costs one timer.
func TestChatter(t *testing.T) {
	b := newBook(t, nil)
	for range 1000 {
		b.see("10.1.1.5", 0xa)
		b.now += sec / 10
	}
	if n := b.Timers(); n != 1 {
		t.Errorf("%d timers, want 1", n)
	}
	b.expect("learned", "10.1.1.5 resolved a")
	b.tick(269 * sec) // since it was seen last
	b.tick(31*sec, "10.1.1.5 a")
}

func TestFlush(t *testing.T) {
	b := newBook(t, func(c *l3.LinkConfig) {
		c.Statics = map[netip.Addr]table.MAC{addr("10.1.1.7"): 0x7}
		c.Held = []netip.Addr{addr("10.1.1.9")}
	})
	b.see("10.1.1.5", 5)
	b.see("10.1.1.9", 9)
	b.TakeChanges()
	if n := b.Flush(vni1, b.now, func(netip.Addr) bool { return true }); n != 2 {
		t.Errorf("%d flushed, want 2", n)
	}
	b.expect("flushed", "10.1.1.5 lost 0", "10.1.1.9 lost 0")
	if b.Host(vni1, addr("10.1.1.9")) == nil || b.Host(vni1, addr("10.1.1.7")) == nil {
		t.Error("what the configuration holds is gone")
	}
}
