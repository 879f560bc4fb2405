package check

import (
	"context"
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"time"

	"github.com/ztos/ztos/api/ztosv1"
	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/engine/trace"
	"github.com/ztos/ztos/lab"
)

// vrfHosts returns the hosts of all segments of a VRF.
func (b *Bench) vrfHosts(vrf string) (out []*lab.Node) {
	for _, t := range b.Topo.Tenants {
		if t.VRF == vrf {
			out = append(out, b.Topo.Hosts(t.Name)...)
		}
	}
	return out
}

// Routed pings from every host of a VRF to every other over IPv4 and IPv6, within
// subnets and across them, with the VRF's marker as payload. Every request must
// be answered, but for those that fill neighbour tables.
func (b *Bench) Routed(ctx context.Context, vrf string, count int) (Matrix, error) {
	var r Matrix
	marker := MarkerOf(vrf)
	hosts := b.vrfHosts(vrf)
	for _, from := range hosts {
		for _, to := range hosts {
			for _, v6 := range []bool{false, true} {
				dst := addr(to, v6)
				if from == to || !dst.IsValid() {
					continue
				}
				err := eventually(ctx, 15*time.Second, func() error {
					p, err := b.ping(ctx, from.Name, dst, pingOptions{marker: &marker})
					if err == nil && p.Received == 0 {
						err = fmt.Errorf("%s does not reach %s (%v)", from.Name, to.Name, dst)
					}
					return err
				})
				if err != nil {
					return r, err
				}
				p, err := b.ping(ctx, from.Name, dst, pingOptions{count: count, marker: &marker})
				if err != nil {
					return r, err
				}
				r.Pairs++
				r.Sent += p.Sent
				r.Received += p.Received
				r.RTT += p.RTT
				if p.Received < p.Sent {
					return r, fmt.Errorf("%s to %s (%v): %d of %d answered", from.Name, to.Name, dst, p.Received, p.Sent)
				}
			}
		}
	}
	r.RTT /= float64(max(r.Pairs, 1))
	return r, nil
}

// Hops is which routers a packet meets on its way, one for each TTL until the
// destination answers.
type Hops []netip.Addr

// answerRE finds who answered ping(8): "From 10.1.1.1 icmp_seq=1 Time to live
// exceeded", "64 bytes from 10.1.2.12: icmp_seq=1".
var answerRE = regexp.MustCompile(`[Ff]rom ([0-9a-f.:]+?):? icmp_seq=1 (.*)`)

// Trace asks for each hop on the way from a host to dst, as traceroute does.
func (b *Bench) Trace(ctx context.Context, from string, dst netip.Addr) (Hops, error) {
	var hops Hops
	for ttl := 1; ttl <= 8; ttl++ {
		who, _, err := b.whoAnswers(ctx, from, dst, "-t", fmt.Sprint(ttl))
		if err != nil {
			return hops, err
		}
		hops = append(hops, who)
		if who == dst {
			return hops, nil
		}
	}
	return hops, fmt.Errorf("%s to %v: not reached in 8 hops: %v", from, dst, hops)
}

// whoAnswers sends echo requests by ping(8), with options, until one is answered, and
// returns who answered the first that was and what.
func (b *Bench) whoAnswers(ctx context.Context, from string, dst netip.Addr, options ...string) (who netip.Addr, what string, err error) {
	// A router may not answer at once: errors are limited.
	err = eventually(ctx, 15*time.Second, func() error {
		// ping fails when it gets an error: what it prints tells.
		words := append([]string{"ping"}, options...)
		out, _ := b.run(ctx, from, append(words, "-n", "-c", "1", "-W", "5", dst.String())...)
		m := answerRE.FindStringSubmatch(out)
		if m == nil {
			return fmt.Errorf("ping from %s to %v: nobody answered: %q", from, dst, out)
		}
		who, err = netip.ParseAddr(m[1])
		what = strings.TrimSpace(m[2])
		return err
	})
	return who, what, err
}

// Refusal is what a host is told about a packet that goes nowhere.
type Refusal struct {
	Who  netip.Addr `json:"who"`
	What string     `json:"what"`
}

// Refused pings dst from a host with options of ping(8), and wants who to answer
// with what.
func (b *Bench) Refused(ctx context.Context, from string, dst, who netip.Addr, what string, options ...string) (Refusal, error) {
	var r Refusal
	var err error
	if r.Who, r.What, err = b.whoAnswers(ctx, from, dst, options...); err != nil {
		return r, err
	}
	if r.Who != who || !strings.Contains(r.What, what) {
		return r, fmt.Errorf("%s to %v: %v says %q, want %v and %q", from, dst, r.Who, r.What, who, what)
	}
	return r, nil
}

// Spoofed sends packets from a host by an address that is not of its subnet, and
// wants them dropped, and counted, at its leaf.
func (b *Bench) Spoofed(ctx context.Context, from string, src netip.Prefix, dst netip.Addr) (dropped uint64, err error) {
	h, err := b.hostNode(from)
	if err != nil {
		return 0, err
	}
	if _, err := b.run(ctx, from, "ip", "addr", "add", src.String(), "dev", "lo"); err != nil {
		return 0, err
	}
	defer b.run(ctx, from, "ip", "addr", "del", src.String(), "dev", "lo") //nolint:errcheck // the lab ends soon
	before, err := b.Drops(ctx, h.Host.Port.Node)
	if err != nil {
		return 0, err
	}
	out, _ := b.run(ctx, from, "ping", "-n", "-c", "3", "-i", "0.2", "-W", "1", "-I", src.Addr().String(), dst.String())
	if !strings.Contains(out, " 0 received") {
		return 0, fmt.Errorf("a spoofed packet from %v was answered: %s", src.Addr(), out)
	}
	err = eventually(ctx, 5*time.Second, func() error {
		after, err := b.Drops(ctx, h.Host.Port.Node)
		if err != nil {
			return err
		}
		if dropped = after.since(before)["route-spoofed"]; dropped < 3 {
			return fmt.Errorf("%s dropped %v, want 3 for route-spoofed", h.Host.Port.Node, after.since(before))
		}
		return nil
	})
	return dropped, err
}

// Unreached pings dst from a host and wants no answer from it.
func (b *Bench) Unreached(ctx context.Context, from string, dst netip.Addr) (Ping, error) {
	p, err := b.ping(ctx, from, dst, pingOptions{count: 3})
	if err == nil && p.Received > 0 {
		err = fmt.Errorf("%s reaches %v", from, dst)
	}
	return p, err
}

// Reached pings dst from a host until it answers, and then wants every request
// answered.
func (b *Bench) Reached(ctx context.Context, from string, dst netip.Addr) (p Ping, err error) {
	err = eventually(ctx, 15*time.Second, func() error {
		p, err := b.ping(ctx, from, dst, pingOptions{})
		if err == nil && p.Received == 0 {
			err = fmt.Errorf("%s does not reach %v", from, dst)
		}
		return err
	})
	if err != nil {
		return p, err
	}
	p, err = b.ping(ctx, from, dst, pingOptions{count: 3})
	if err == nil && p.Received < p.Sent {
		err = fmt.Errorf("%s to %v: %d of %d answered", from, dst, p.Received, p.Sent)
	}
	return p, err
}

// AwaitDefaultRoute waits until a host has an IPv6 default route that it learned
// from a router advertisement of gateway mac, and returns it.
func (b *Bench) AwaitDefaultRoute(ctx context.Context, host string, mac table.MAC) (route string, err error) {
	var m [6]byte
	mac.Put(m[:])
	// fe80::/64 with the modified EUI-64 of the MAC.
	via := netip.AddrFrom16([16]byte{0xfe, 0x80, 8: m[0] ^ 2, 9: m[1], 10: m[2], 11: 0xff, 12: 0xfe, 13: m[3], 14: m[4], 15: m[5]})
	err = eventually(ctx, 40*time.Second, func() error { // two intervals of advertisements
		out, err := b.run(ctx, host, "ip", "-6", "route", "show", "default", "proto", "ra")
		if err == nil && !strings.Contains(out, via.String()) {
			err = fmt.Errorf("%s has no default route by %v: %q", host, via, out)
		}
		route = strings.TrimSpace(out)
		return err
	})
	return route, err
}

// Confined is who saw what of a VRF's routed traffic.
type Confined struct {
	Own    int `json:"own"`    // frames with the VRF's mark that left by its own bridge domains
	Others int `json:"others"` // and by those of others; always 0 without an error
}

// Confined lets the hosts of a VRF talk to each other and looks at every frame
// that the leaves give to hosts meanwhile: those with the VRF's mark are for its
// own hosts, though other VRFs have hosts with the same addresses and MACs.
func (b *Bench) Confined(ctx context.Context, vrf string) (r Confined, err error) {
	own := map[table.VNI]bool{}
	for _, t := range b.Topo.Tenants {
		own[t.VNI] = t.VRF == vrf
	}
	marker := MarkerOf(vrf)
	for _, leaf := range b.kind(lab.Leaf) {
		req := &ztosv1.CaptureRequest{Stages: []string{trace.PortTx.String()}}
		packets, err := b.capture(ctx, leaf, req, func() error {
			_, err := b.Routed(ctx, vrf, 1)
			return err
		})
		if err != nil {
			return r, err
		}
		for _, p := range packets {
			switch {
			case p.GetMissed() > 0:
				return r, fmt.Errorf("%s: %d frames were not looked at", leaf, p.GetMissed())
			case !marker.in(p.GetData()):
			case own[table.VNI(p.GetVni())]:
				r.Own++
			default:
				r.Others++
			}
		}
	}
	if r.Others > 0 || r.Own == 0 {
		return r, fmt.Errorf("%d frames of VRF %s left by its own bridge domains, %d by others; want some, and none", r.Own, vrf, r.Others)
	}
	return r, nil
}
