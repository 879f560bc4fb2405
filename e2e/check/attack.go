package check

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/ztos/ztos/lab"
)

// Attack is what became of one injected packet, or several alike.
type Attack struct {
	Layer  string `json:"layer"` // underlay, wireguard, vxlan or macsec: where it lies
	Name   string `json:"name"`
	Target string `json:"target"` // the node that it was sent to
	Sent   int    `json:"sent"`
	Reason string `json:"reason"` // drop reason that must count it, and did
	// Frames that came out at any host. Always 0 without an error.
	Reached int `json:"reached"`
}

// assault is one attack to be made.
type assault struct {
	layer  string
	name   string
	target string
	reason string
	sent   int // packets that send injects; 0 is 1
	send   func() error
}

// field is the place of a series of attacks: taps on all hosts, and the engines
// that run.
type field struct {
	bed     *Bench
	engines []string
	taps    map[string]*tap
	noise   []string // reasons that count what is none of the attacks'
}

// attackSettle is how long an engine may take to count what it was sent, and how
// long is waited for what should not happen.
const (
	attackSettle = 2 * time.Second
	attackQuiet  = 60 * time.Millisecond
)

// field taps all hosts. down are nodes whose engine does not run.
func (b *Bench) field(down ...string) (*field, error) {
	var marks []Marker
	for _, t := range b.Topo.Tenants {
		marks = append(marks, MarkerOf(t.Name))
	}
	f := &field{bed: b, taps: map[string]*tap{}}
	for _, e := range b.Engines() {
		if !slices.Contains(down, e) {
			f.engines = append(f.engines, e)
		}
	}
	for _, h := range b.kind(lab.Host) {
		t, err := b.tap(h, func(fr frame) bool {
			return !fr.out && slices.ContainsFunc(marks, func(m Marker) bool { return m.in(fr.data) })
		}, "eth0")
		if err != nil {
			f.close() //nolint:errcheck // given up
			return nil, err
		}
		f.taps[h] = t
	}
	return f, nil
}

func (f *field) close() error {
	var errs []error
	for _, t := range f.taps {
		_, err := t.close()
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// reached returns how many marked frames hosts have received.
func (f *field) reached() int {
	n := 0
	for _, t := range f.taps {
		n += t.kept()
	}
	return n
}

// drops returns the drops of the engines that run.
func (f *field) drops(ctx context.Context) (map[string]Drops, error) {
	out := map[string]Drops{}
	for _, e := range f.engines {
		d, err := f.bed.Drops(ctx, e)
		if err != nil {
			return nil, err
		}
		out[e] = d
	}
	return out, nil
}

// launch makes an attack. It fails unless the target counts every packet of it
// under the reason, nobody counts anything else, and no host receives anything.
func (f *field) launch(ctx context.Context, a assault) (Attack, error) {
	a.sent = max(a.sent, 1)
	r := Attack{Layer: a.layer, Name: a.name, Target: a.target, Sent: a.sent, Reason: a.reason}
	f.bed.note("%s: %s to %s", a.layer, a.name, a.target)
	atHosts := f.reached()
	before, err := f.drops(ctx)
	if err != nil {
		return r, err
	}
	if err := a.send(); err != nil {
		return r, fmt.Errorf("attack %q: %w", a.name, err)
	}
	var after map[string]Drops
	countErr := eventually(ctx, attackSettle, func() (err error) {
		if after, err = f.drops(ctx); err != nil {
			return err
		}
		return f.judge(a, before, after)
	})
	pause(ctx, attackQuiet)
	r.Reached = f.reached() - atHosts
	if r.Reached > 0 {
		countErr = errors.Join(fmt.Errorf("attack %q: %d frames reached hosts, want 0", a.name, r.Reached), countErr)
	}
	return r, countErr
}

// judge compares what was counted with what should be.
func (f *field) judge(a assault, before, after map[string]Drops) error {
	want := Drops{}
	if a.reason != "" {
		want[a.reason] = uint64(a.sent)
	}
	for _, e := range f.engines {
		got := after[e].since(before[e]).without(benignDrops...).without(f.noise...)
		switch {
		case e == a.target && !maps.Equal(got, want):
			return fmt.Errorf("attack %q: %s counted %v, want %v", a.name, e, got, want)
		case e != a.target && len(got) > 0:
			return fmt.Errorf("attack %q on %s: %s counted %v, want none", a.name, a.target, e, got)
		}
	}
	return nil
}

// control looks whether the field would notice a packet that came through: honest
// traffic between hosts of engines that run must be seen at hosts.
func (f *field) control(ctx context.Context) error {
	atHosts := f.reached()
	marker, asked := Marker{}, false
	var honest Ping
	var err error
	f.bed.pairs(func(tenant string, from, to *lab.Node) {
		if asked || !slices.Contains(f.engines, from.Host.Port.Node) || !slices.Contains(f.engines, to.Host.Port.Node) {
			return
		}
		asked, marker = true, MarkerOf(tenant)
		honest, err = f.bed.ping(ctx, from.Name, addr(to, false), pingOptions{count: 3, marker: &marker})
	})
	if err == nil {
		err = eventually(ctx, attackSettle, func() error {
			want := max(1, 2*honest.Received) // requests at one host, answers at the other
			if n := f.reached() - atHosts; n < want {
				return fmt.Errorf("attacks: %d of %d frames of honest traffic are seen at hosts: that nothing else is proves nothing", n, want)
			}
			return nil
		})
	}
	pause(ctx, 2*attackQuiet) // until the taps have seen all of it
	return err
}

// series makes attacks one after the other, all of them, and returns what became
// of each. Before and after them it looks whether honest traffic is seen.
func (f *field) series(ctx context.Context, as []assault) ([]Attack, error) {
	var out []Attack
	errs := []error{f.control(ctx)}
	for _, a := range as {
		r, err := f.launch(ctx, a)
		out = append(out, r)
		errs = append(errs, err)
		if ctx.Err() != nil {
			break
		}
	}
	return out, errors.Join(append(errs, f.control(ctx))...)
}
