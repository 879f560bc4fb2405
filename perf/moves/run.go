package moves

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ztos/ztos/api/client"
	"github.com/ztos/ztos/config/status"
	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/lab"
	"github.com/ztos/ztos/perf/progress"
	"github.com/ztos/ztos/perf/scale"
)

// Config is what to measure.
type Config struct {
	Engine   string // ztos-engine
	Topology string // file of a lab with the nodes of the package comment
	Rates    []int  // datagrams a second, 100 to MaxRate
	Moves    int    // at each rate, 1 to MaxMoves
	Progress io.Writer
	Terminal bool // Progress is one
}

// Bounds of a Config.
const (
	MaxRate  = 50_000
	MaxMoves = 10_000
)

const (
	labName = "moves"
	quiet   = 100 * time.Millisecond // with datagrams at one place alone, it is settled
	limit   = 5 * time.Second        // for that
	poll    = 2 * time.Millisecond
	// startLimit is how long the fabric may take to find itself.
	startLimit = time.Minute
	// pause is how long the streams of two moves are apart: what is on its way arrives,
	// also where a processor was busy with something else.
	pause = 200 * time.Millisecond
)

// places are the hosts between which a MAC moves, sender the one that sends to it.
var places = [2]string{"red1", "red2"}

const sender = "red3"

// leaves are those that all three are behind.
var leaves = [3]string{"leaf1", "leaf2", "leaf3"}

// Addresses of what moves and of the sender: no other host's.
var (
	moverIP  = netip.MustParseAddr("10.1.0.200")
	senderIP = netip.MustParseAddr("10.1.0.201")
)

const senderMAC table.MAC = 0x02bb00ffffff

// moverMAC is the host of a move. Each moves once: one that moves often is taken for
// two hosts, RFC 7432 section 15.1.
func moverMAC(move uint32) table.MAC { return 0x02bb00000000 + table.MAC(move) }

// Measure brings the lab up, moves hosts at each rate, and takes the lab down.
func Measure(ctx context.Context, c Config) (_ *Report, err error) {
	if c.Moves < 1 || c.Moves > MaxMoves || len(c.Rates) == 0 {
		return nil, fmt.Errorf("moves: %d moves at %d rates: want 1 to %d, and a rate at least", c.Moves, len(c.Rates), MaxMoves)
	}
	for _, r := range c.Rates {
		if r < 100 || r > MaxRate {
			return nil, fmt.Errorf("moves: %d datagrams a second: want 100 to %d", r, MaxRate)
		}
	}
	l, err := c.up(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, l.Down(context.WithoutCancel(ctx))) }()
	if err := ready(ctx, l); err != nil {
		return nil, err
	}
	b, err := openBed(l)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	bar := progress.New(c.Progress, c.Terminal, c.Moves*len(c.Rates))
	defer bar.End()
	r := &Report{Report: scale.NewReport()}
	var move uint32
	for _, rate := range c.Rates {
		p := Point{Rate: rate}
		for range c.Moves {
			m, err := b.move(ctx, move, rate)
			if err != nil {
				return nil, fmt.Errorf("move %d: %w", move+1, err)
			}
			move++
			p.Moves = append(p.Moves, m)
			bar.Step(fmt.Sprintf("%d datagrams a second: %.1f ms", rate, m.Window*1e3))
		}
		r.Points = append(r.Points, p)
	}
	r.summarize()
	return r, nil
}

// up brings the lab up, and takes away first what a run that was killed has left.
func (c *Config) up(ctx context.Context) (*lab.Lab, error) {
	topo, err := lab.Load(c.Topology)
	if err != nil {
		return nil, fmt.Errorf("moves: %w", err)
	}
	topo.Name = labName
	l, err := lab.New(topo, lab.Options{EngineBinary: c.Engine})
	if err != nil {
		return nil, fmt.Errorf("moves: %w", err)
	}
	if err := errors.Join(l.Down(ctx), l.Up(ctx)); err != nil {
		return nil, errors.Join(fmt.Errorf("moves: %w", err), l.Down(context.WithoutCancel(ctx)))
	}
	return l, nil
}

// ready waits until every leaf has heard of every other. A host that moves before both
// leaves have announced it has no sequence number that tells its places apart.
func ready(ctx context.Context, l *lab.Lab) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	for _, name := range leaves {
		c, err := client.Dial(l.Socket(name))
		if err != nil {
			return fmt.Errorf("moves: %s: %w", name, err)
		}
		err = meets(ctx, c)
		if err = errors.Join(err, c.Close()); err != nil {
			return fmt.Errorf("moves: %s: %w", name, err)
		}
	}
	return nil
}

// meets waits until a leaf has all sessions and all others' VTEPs in each domain.
func meets(ctx context.Context, c *client.Client) error {
	for {
		fault := errors.New("no session, or no VTEP, for some leaf")
		st, err := c.BGP(ctx)
		e, eerr := c.EVPN(ctx)
		if err = errors.Join(err, eerr); err != nil {
			fault = err
		} else if !slices.ContainsFunc(st.Peers, func(p status.BGPPeer) bool { return p.State != "established" }) &&
			!slices.ContainsFunc(e.Domains, func(d status.EVPNDomain) bool { return len(d.VTEPs) < len(leaves)-1 }) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("not ready after %v: %w", startLimit, fault)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// bed is the legs of the hosts, and the flow that arrives at them.
type bed struct {
	tx   *leg
	rx   [2]*leg
	flow atomic.Pointer[flow]
}

func openBed(l *lab.Lab) (_ *bed, err error) {
	b := &bed{}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.close())
		}
	}()
	if b.tx, err = openLeg(l.Namespace(sender)); err != nil {
		return nil, err
	}
	for i, name := range places {
		if b.rx[i], err = openLeg(l.Namespace(name)); err != nil {
			return nil, err
		}
		b.rx[i].take(func(move, number uint32, now time.Time) {
			if f := b.flow.Load(); f != nil && f.move == move {
				f.arrived(i, number, now)
			}
		})
	}
	return b, nil
}

func (b *bed) close() error {
	var errs []error
	for _, l := range []*leg{b.rx[0], b.rx[1], b.tx} {
		if l != nil && l != b.tx {
			errs = append(errs, l.close())
		}
	}
	if b.tx != nil {
		_ = b.tx.close() // nobody takes what comes to the sender
	}
	return errors.Join(errs...)
}

// move has a host appear at one place, be sent to, and move to the other.
func (b *bed) move(ctx context.Context, move uint32, rate int) (m Move, err error) {
	mac, to := moverMAC(move), int(move+1)%2
	hello := gratuitousARP(mac, moverIP)
	if err := errors.Join(b.tx.send(gratuitousARP(senderMAC, senderIP)), b.rx[1-to].send(hello)); err != nil {
		return m, err
	}
	f := &flow{move: move}
	b.flow.Store(f)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var sending sync.WaitGroup
	sending.Go(func() {
		if serr := b.send(ctx, f, mac, rate); serr != nil {
			err = errors.Join(err, serr)
		}
	})
	moved, stepErr := b.follow(ctx, f, to, hello)
	cancel()
	sending.Wait()
	if err = errors.Join(err, stepErr); err != nil {
		return m, err
	}
	time.Sleep(pause)
	return f.account(to, moved), nil
}

// follow waits until a flow is at the other place alone, says hello at this one, and
// waits until it is here alone. It returns when hello was said.
func (b *bed) follow(ctx context.Context, f *flow, to int, hello []byte) (moved time.Time, err error) {
	if err := settle(ctx, f, 1-to); err != nil {
		return moved, err
	}
	moved = time.Now()
	if err := b.rx[to].send(hello); err != nil {
		return moved, err
	}
	return moved, settle(ctx, f, to)
}

// settle waits until a flow comes to one place alone.
func settle(ctx context.Context, f *flow, place int) error {
	for end := time.Now().Add(limit); ; {
		err := f.only(place, quiet, time.Now())
		if err == nil || time.Now().After(end) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(poll):
		}
	}
}

// send sends a flow's datagrams at a rate until ctx ends.
func (b *bed) send(ctx context.Context, f *flow, mac table.MAC, rate int) error {
	frame := datagram(senderMAC, mac, senderIP, moverIP)
	start := time.Now()
	for n := 0; ctx.Err() == nil; n++ {
		due := start.Add(time.Duration(n) * time.Second / time.Duration(rate))
		if wait := time.Until(due); wait > 0 {
			time.Sleep(wait)
		}
		if err := f.send(b.tx, frame); err != nil {
			return err
		}
	}
	return nil
}
