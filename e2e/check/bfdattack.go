package check

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/fabric/bfd"
)

// BFDKeys is the result of Bench.BFDKeys: packets that were refused at the two
// ends, by what was wrong.
type BFDKeys struct {
	OneEnd   [2]uint64 `json:"refused_with_a_key_at_one_end"`
	TwoKeys  [2]uint64 `json:"refused_with_two_keys"`
	Accepted uint64    `json:"received_with_one_key"`
	Stream   Stream    `json:"stream"`
}

// BFDKeys gives the session between the first leaf and the first spine keys: at one
// end, which must not come up; at both the same, which must; at both, different
// ones, which must not. Flows go on all the time, by whichever spine.
func (b *Bench) BFDKeys(ctx context.Context) (r BFDKeys, err error) {
	h := b.Topo.Hosts(b.Topo.Tenants[0].Name)
	leaf, spine := h[0].Host.Port.Node, b.Topo.Nodes[0].Name
	dir, err := os.MkdirTemp("", "ztos-bfd-")
	if err != nil {
		return r, fmt.Errorf("check: %w", err)
	}
	defer os.RemoveAll(dir)
	keys := map[string]string{}
	for _, k := range []string{"one", "other"} {
		keys[k] = filepath.Join(dir, k)
		if err := os.WriteFile(keys[k], []byte("key "+k+"\n"), 0o600); err != nil {
			return r, fmt.Errorf("check: %w", err)
		}
	}
	s, err := b.stream(h[0].Name, h[1].Name, 500, 200, 0)
	if err != nil {
		return r, err
	}
	stepErr := b.bfdKeys(ctx, &r, leaf, spine, keys)
	for _, e := range []string{leaf, spine} {
		stepErr = errors.Join(stepErr, b.unedit(context.WithoutCancel(ctx), e))
	}
	r.Stream, err = s.stop()
	if err := errors.Join(stepErr, err); err != nil {
		return r, err
	}
	if r.Stream.Window > float64(bfdBound.Milliseconds()) {
		return r, fmt.Errorf("loss window %.0f ms while keys were changed", r.Stream.Window)
	}
	for _, e := range b.Engines() {
		if _, _, err := b.bfdUp(ctx, e); err != nil {
			return r, err
		}
	}
	return r, nil
}

// bfdKeys is the steps of BFDKeys.
func (b *Bench) bfdKeys(ctx context.Context, r *BFDKeys, leaf, spine string, keys map[string]string) (err error) {
	set := func(engine, neighbour, key string) error {
		return b.edit(ctx, engine, func(c *config.Node) error {
			for i := range c.BFD.Neighbors {
				if x := &c.BFD.Neighbors[i]; x.Name == neighbour {
					x.KeyFile = keys[key]
				}
			}
			config.Defaults(c)
			return nil
		})
	}
	if err := set(leaf, spine, "one"); err != nil {
		return err
	}
	if r.OneEnd, err = b.bfdRefuses(ctx, leaf, spine, "refused-auth-missing", "refused-auth-surplus"); err != nil {
		return err
	}
	if err := set(spine, leaf, "one"); err != nil {
		return err
	}
	err = eventually(ctx, bfdMost, func() error {
		ss, _, err := b.bfdSessions(ctx, leaf)
		if err != nil {
			return err
		}
		r.Accepted = countsOf(ss[spine].GetCounters())["received"]
		if x := ss[spine]; x.GetState() != "up" || x.GetAuthentication() != "meticulous-keyed-sha1" || r.Accepted == 0 {
			return fmt.Errorf("%s: session with %s, of one key, is %s (%s)", leaf, spine, x.GetState(), x.GetAuthentication())
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := set(spine, leaf, "other"); err != nil {
		return err
	}
	r.TwoKeys, err = b.bfdRefuses(ctx, leaf, spine, "refused-auth-digest", "refused-auth-digest")
	return err
}

// bfdRefuses wants both ends of a session to refuse packets under the given
// counters, and neither to be up.
func (b *Bench) bfdRefuses(ctx context.Context, leaf, spine, atLeaf, atSpine string) (n [2]uint64, err error) {
	err = eventually(ctx, bfdMost, func() error {
		for i, x := range []struct{ engine, neighbour, counter string }{{leaf, spine, atLeaf}, {spine, leaf, atSpine}} {
			ss, _, err := b.bfdSessions(ctx, x.engine)
			if err != nil {
				return err
			}
			n[i] = countsOf(ss[x.neighbour].GetCounters())[x.counter]
			if s := ss[x.neighbour].GetState(); s == "up" || n[i] < 2 {
				return fmt.Errorf("%s: session with %s is %s, %s is %d", x.engine, x.neighbour, s, x.counter, n[i])
			}
		}
		return nil
	})
	return n, err
}

// BFDSpoof is the result of Bench.BFDSpoof: packets sent and counted, by what was
// wrong with them.
type BFDSpoof struct {
	Sent    int               `json:"sent_each"`
	Counted map[string]uint64 `json:"counted"`
}

// BFDSpoof has the second leaf, whose stack is the kernel's, send forged packets to
// the first spine, inside its tunnel: for the session that the first leaf has there,
// which names its discriminator; for one that there is not; and from further away
// than a session of one hop allows. All must be counted, and no session change. It
// tries three times: a session may fail meanwhile on a machine without a processor to
// spare, but not each time.
func (b *Bench) BFDSpoof(ctx context.Context) (r BFDSpoof, err error) {
	for range 3 {
		if r, err = b.bfdSpoof(ctx); err == nil {
			break
		}
		pause(ctx, time.Second)
	}
	return r, err
}

func (b *Bench) bfdSpoof(ctx context.Context) (r BFDSpoof, err error) {
	h := b.Topo.Hosts(b.Topo.Tenants[0].Name)
	leaf, attacker, spine := h[0].Host.Port.Node, h[1].Host.Port.Node, b.Topo.Nodes[0]
	at, _ := b.Topo.Node(attacker)
	r.Sent, r.Counted = 20, map[string]uint64{}
	look := func() (down uint64, counts map[string]uint64, victim, own *bfd.Packet, err error) {
		ss, strangers, err := b.bfdSessions(ctx, spine.Name)
		if err != nil || ss[leaf] == nil || ss[attacker] == nil {
			return 0, nil, nil, nil, errors.Join(err, fmt.Errorf("%s has no sessions with %s and %s", spine.Name, leaf, attacker))
		}
		for _, s := range ss {
			c := countsOf(s.Counters)
			down += c["went-down"]
			for k, v := range c {
				strangers[k] += v
			}
		}
		forged := func(name string) *bfd.Packet {
			s := ss[name]
			return &bfd.Packet{State: bfd.AdminDown, Mult: 3, Mine: s.TheirDiscriminator, Yours: s.Discriminator, DesiredTx: 50000, RequiredRx: 50000}
		}
		return down, strangers, forged(leaf), forged(attacker), nil
	}
	down, before, victim, own, err := look()
	if err != nil {
		return r, err
	}
	unknown := *own
	unknown.Yours ^= 0x5a5a5a5a
	wants := map[string]struct {
		p   *bfd.Packet
		ttl int
	}{"refused-source": {victim, 255}, "refused-unknown": {&unknown, 255}, "refused-ttl": {own, 254}}
	err = b.in(attacker, func() error {
		for _, w := range wants {
			if err := sendTTL(at.Address, netip.AddrPortFrom(spine.Address, bfd.SingleHopPort), w.ttl, r.Sent, w.p.Bytes()); err != nil {
				return fmt.Errorf("check: forged BFD: %w", err)
			}
		}
		return nil
	})
	if err != nil {
		return r, err
	}
	return r, eventually(ctx, 10*time.Second, func() error {
		now, counts, _, _, err := look()
		if err != nil {
			return err
		}
		for what := range wants {
			if r.Counted[what] = counts[what] - before[what]; r.Counted[what] < uint64(r.Sent) {
				return fmt.Errorf("%s: %d of %d forged packets are counted as %s", spine.Name, r.Counted[what], r.Sent, what)
			}
		}
		if now != down {
			return fmt.Errorf("%s: forged packets brought a session down", spine.Name)
		}
		return nil
	})
}

// sendTTL sends n times b from an address, with a TTL.
func sendTTL(from netip.Addr, to netip.AddrPort, ttl, n int, b []byte) error {
	c, err := net.DialUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(from, 0)), net.UDPAddrFromAddrPort(to))
	if err != nil {
		return err
	}
	defer c.Close()
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var optErr error
	if err := raw.Control(func(fd uintptr) { optErr = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_TTL, ttl) }); err != nil {
		return err
	}
	if optErr != nil {
		return optErr
	}
	for range n {
		if _, err := c.Write(b); err != nil {
			return err
		}
	}
	return nil
}
