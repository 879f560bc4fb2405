package check

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/lab"
)

// AllActive is the result of Bench.AllActive.
type AllActive struct {
	DF       string `json:"designated_forwarder"`
	FromHost int    `json:"broadcasts_of_the_host"` // that each other host got, once
	ToHost   int    `json:"broadcasts_to_the_host"` // that it got, once, of several sources
	Flows    [2]int `json:"flows_by_link"`
	// A link goes down, comes back; then the designated forwarder's engine is killed.
	Down, Up, Killed outage
	BUMDown, BUMUp   outage
}

// AllActive is a host with two links, of which both are used: each frame reaches it
// once, no frame of its comes back, flows spread over its leaves, and when a link or
// a leaf fails the other takes over.
func (b *Bench) AllActive(ctx context.Context, tenant string) (r AllActive, err error) {
	m, err := b.newMultihome(tenant)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, m.close()) }()
	df, err := m.elected(ctx, m.links[:], 1)
	if err != nil {
		return r, err
	}
	r.DF = m.links[df].Host.Port.Node
	if err := m.broadcasts(ctx, &r, df); err != nil {
		return r, err
	}
	if err := m.grouped(ctx, 2); err != nil {
		return r, err
	}
	if r.Flows, err = m.spread(ctx); err != nil {
		return r, err
	}
	if err := m.unicastFrom(ctx); err != nil {
		return r, err
	}
	host := m.links[0].Host.MAC
	// The designated forwarder's link, so that broadcasts feel it too.
	down := func() error { return m.link(ctx, m.links[df], "down") }
	up := func() error { return m.link(ctx, m.links[df], "up") }
	if r.Down, err = m.during(ctx, host, down); err != nil {
		return r, fmt.Errorf("link down: %w", err)
	}
	if r.Up, err = m.during(ctx, host, up); err != nil {
		return r, fmt.Errorf("link up: %w", err)
	}
	if _, err = m.elected(ctx, m.links[:], 1); err != nil {
		return r, err
	}
	if r.BUMDown, err = m.during(ctx, table.Broadcast, down); err != nil {
		return r, fmt.Errorf("broadcasts, link down: %w", err)
	}
	if r.BUMUp, err = m.during(ctx, table.Broadcast, up); err != nil {
		return r, fmt.Errorf("broadcasts, link up: %w", err)
	}
	if df, err = m.elected(ctx, m.links[:], 1); err != nil {
		return r, err
	}
	if err := m.broadcasts(ctx, &r, df); err != nil {
		return r, fmt.Errorf("after the link came back: %w", err)
	}
	if err := m.grouped(ctx, 2); err != nil {
		return r, err
	}
	return r, m.kill(ctx, &r, df)
}

// broadcasts sends broadcasts from each link of the host and to it.
func (m *multihome) broadcasts(ctx context.Context, r *AllActive, df int) error {
	r.FromHost, r.ToHost = 0, 0
	for i, h := range m.links {
		got, err := m.send(ctx, h, table.Broadcast, homeBUM, 1)
		if err != nil {
			return err
		}
		if n, _ := got.total(m.links[:]...); n > 0 {
			return fmt.Errorf("%d broadcasts of the host's link %d came back to it", n, i+1)
		}
		for _, o := range m.hosts[2:] {
			n, twice := got.total(o)
			if n != homeBUM || twice > 0 {
				return fmt.Errorf("%s got %d of %d broadcasts of the host's link %d, %d of them twice", o.Name, n, homeBUM, i+1, twice)
			}
			r.FromHost += n
		}
	}
	idle := m.links[1-df].Host.Port.Node // keeps what the third leaf's host sends to all
	before, err := m.b.Drops(ctx, idle)
	if err != nil {
		return err
	}
	for _, h := range m.hosts[2:] {
		got, err := m.send(ctx, h, table.Broadcast, homeBUM, 1)
		if err != nil {
			return err
		}
		n, twice := got.total(m.links[:]...)
		if n != homeBUM || twice > 0 {
			return fmt.Errorf("the host got %d of %d broadcasts of %s, %d of them twice", n, homeBUM, h.Name, twice)
		}
		// A leaf of the segment sends them itself, for the others its DF does.
		at := m.links[df]
		for _, l := range m.links {
			if l.Host.Port.Node == h.Host.Port.Node {
				at = l
			}
		}
		if n, _ := got.total(at); n != homeBUM {
			return fmt.Errorf("%d of %d broadcasts of %s came by %s", n, homeBUM, h.Name, at.Host.Port.Node)
		}
		r.ToHost += homeBUM
	}
	_, err = m.counted(ctx, idle, "bum-not-df", before, homeBUM)
	return err
}

// spread sends flows to the host and wants each whole at one link, and both used.
func (m *multihome) spread(ctx context.Context) (flows [2]int, err error) {
	got, err := m.send(ctx, m.far(), m.links[0].Host.MAC, homeFlows*homeEach, homeFlows)
	if err != nil {
		return flows, err
	}
	if n, twice := got.total(m.links[:]...); n != homeFlows*homeEach || twice > 0 {
		return flows, fmt.Errorf("%d of %d frames arrived, %d twice", n, homeFlows*homeEach, twice)
	}
	for f := range homeFlows {
		var n [2]int
		for i := f; i < homeFlows*homeEach; i += homeFlows {
			for k, l := range m.links {
				n[k] += got[l.Name][uint32(i)]
			}
		}
		if n[0] > 0 && n[1] > 0 {
			return flows, fmt.Errorf("flow %d came by both links: %v", f, n)
		}
		for k := range n {
			if n[k] > 0 {
				flows[k]++
			}
		}
	}
	if min(flows[0], flows[1]) < homeFlows/8 {
		return flows, fmt.Errorf("of %d flows %v came by each link", homeFlows, flows)
	}
	return flows, nil
}

// unicastFrom sends from each link to each other host.
func (m *multihome) unicastFrom(ctx context.Context) error {
	for i, l := range m.links {
		for _, h := range m.hosts[2:] {
			got, err := m.send(ctx, l, h.Host.MAC, homeFlows, homeFlows)
			if err != nil {
				return err
			}
			all, _ := got.total(m.hosts...)
			if n, twice := got.total(h); n != homeFlows || twice > 0 || all != n {
				return fmt.Errorf("%s got %d of %d frames of link %d, %d twice", h.Name, n, homeFlows, i+1, twice)
			}
		}
	}
	return nil
}

// kill kills the designated forwarder's engine and starts it again.
func (m *multihome) kill(ctx context.Context, r *AllActive, df int) (err error) {
	leaf, other := m.links[df].Host.Port.Node, m.links[1-df]
	r.Killed, err = m.during(ctx, m.links[0].Host.MAC, func() error {
		m.b.dropNode(leaf)
		return m.b.Lab.StopProcess(ctx, leaf, lab.EngineProcess, sigkill)
	})
	if err == nil {
		_, err = m.elected(ctx, []*lab.Node{other}, 0)
	}
	if err == nil {
		var got homeFrames
		got, err = m.send(ctx, m.far(), table.Broadcast, homeBUM, 1)
		if n, twice := got.total(other); err == nil && (n != homeBUM || twice > 0) {
			err = fmt.Errorf("of the leaf that is left the host got %d of %d broadcasts, %d twice", n, homeBUM, twice)
		}
	}
	err = errors.Join(err, m.b.startEngine(context.WithoutCancel(ctx), leaf))
	if err != nil {
		return fmt.Errorf("%s killed: %w", leaf, err)
	}
	if df, err = m.elected(ctx, m.links[:], 1); err != nil {
		return err
	}
	// What the host says tells the leaf where it is.
	return eventually(ctx, homeMost, func() error {
		if err := m.broadcasts(ctx, r, df); err != nil {
			return err
		}
		_, err := m.spread(ctx)
		return err
	})
}

// OneActive is the result of Bench.OneActive.
type OneActive struct {
	DF      string `json:"designated_forwarder"`
	Blocked uint64 `json:"blocked"` // frames that the other leaf dropped
	Down    outage `json:"down"`    // the link in use went down
	Back    string `json:"back"`    // who is it when the link is back
}

// OneActive is a host with two links, of which the designated forwarder's alone is
// used, both ways, until it fails.
func (b *Bench) OneActive(ctx context.Context, tenant string) (r OneActive, err error) {
	m, err := b.newMultihome(tenant)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, m.close()) }()
	df, err := m.elected(ctx, m.links[:], 1)
	if err != nil {
		return r, err
	}
	use, idle := m.links[df], m.links[1-df]
	r.DF = use.Host.Port.Node
	if err := m.oneLink(ctx, use, idle, &r); err != nil {
		return r, err
	}
	if r.Down, err = m.during(ctx, use.Host.MAC, func() error { return m.link(ctx, use, "down") }); err != nil {
		return r, fmt.Errorf("link down: %w", err)
	}
	if _, err := m.elected(ctx, []*lab.Node{idle}, 0); err != nil {
		return r, err
	}
	if err := m.link(ctx, use, "up"); err != nil {
		return r, err
	}
	if df, err = m.elected(ctx, m.links[:], 1); err != nil {
		return r, err
	}
	r.Back = m.links[df].Host.Port.Node
	if err := m.oneLink(ctx, m.links[df], m.links[1-df], &r); err != nil {
		return r, err
	}
	return r, m.unconfigured(ctx, df)
}

// unconfigured takes the segment out of the configuration of the leaf in use, which
// goes on forwarding, and puts it back.
func (m *multihome) unconfigured(ctx context.Context, df int) (err error) {
	leaf, other := m.links[df].Host.Port.Node, m.links[1-df]
	err = m.b.edit(ctx, leaf, func(c *config.Node) error {
		c.EthernetSegments = slices.DeleteFunc(c.EthernetSegments, func(s config.EthernetSegment) bool {
			return s.Port == m.links[df].Host.Port.Dev
		})
		return nil
	})
	if err == nil {
		_, err = m.elected(ctx, []*lab.Node{other}, 0)
	}
	if err == nil {
		if _, none := m.segmentAt(ctx, leaf); none == nil {
			err = fmt.Errorf("%s still shows the segment", leaf)
		}
	}
	if err = errors.Join(err, m.b.unedit(context.WithoutCancel(ctx), leaf)); err != nil {
		return fmt.Errorf("segment taken out of %s: %w", leaf, err)
	}
	_, err = m.elected(ctx, m.links[:], 1)
	return err
}

// oneLink wants frames to go by one link of the host, and none by the other.
func (m *multihome) oneLink(ctx context.Context, use, idle *lab.Node, r *OneActive) error {
	leaf := idle.Host.Port.Node
	before, err := m.b.Drops(ctx, leaf)
	if err != nil {
		return err
	}
	got, err := m.send(ctx, idle, table.Broadcast, homeBUM, 1)
	if err != nil {
		return err
	}
	if n, _ := got.total(m.hosts...); n > 0 {
		return fmt.Errorf("%d broadcasts passed by the link that is not to be used", n)
	}
	if r.Blocked, err = m.counted(ctx, leaf, "segment-not-df", before, homeBUM); err != nil {
		return err
	}
	if got, err = m.send(ctx, use, table.Broadcast, homeBUM, 1); err != nil {
		return err
	}
	if n, twice := got.total(m.far()); n != homeBUM || twice > 0 {
		return fmt.Errorf("%s got %d of %d broadcasts, %d twice", m.far().Name, n, homeBUM, twice)
	}
	if err := m.grouped(ctx, 1); err != nil {
		return err
	}
	for _, dst := range []table.MAC{table.Broadcast, use.Host.MAC} {
		if got, err = m.send(ctx, m.far(), dst, homeFlows, homeFlows); err != nil {
			return err
		}
		at, twice := got.total(use)
		if wrong, _ := got.total(idle); at != homeFlows || twice > 0 || wrong > 0 {
			return fmt.Errorf("to %v: %d of %d frames came by the link in use, %d twice, %d by the other", dst, at, homeFlows, twice, wrong)
		}
	}
	return nil
}
