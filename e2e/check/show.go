package check

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// Step is one thing that the demonstration shows.
type Step struct {
	Name  string // short, for JSON and the table
	Title string // a sentence for people, while it runs
	// Run returns what was seen in one line, and the result for JSON.
	Run func(context.Context, *Bench) (seen string, result any, err error)
}

// Show returns what the demonstration shows, in order, on the standard lab with
// EVPN. extension is the file by which the lab grows.
func Show(extension string) []Step {
	extend := func(ctx context.Context, b *Bench) (string, any, error) { return showExtend(ctx, b, extension) }
	return []Step{
		{"reach", "Hosts of each tenant ping each other across leaves, IPv4 and IPv6", showReach},
		{"evpn", "No leaf was told where the others are: BGP EVPN has found them", showEVPN},
		{"mtu", "Full-size packets pass without fragments", showMTU},
		{"tcp-red", "TCP through MACsec, VXLAN and WireGuard, and the counters of all nodes", showLossless},
		{"tcp-blue", "TCP of the second tenant, with the same addresses", showTCP},
		{"isolation", "Tenants with the same addresses and MACs do not reach each other", showIsolation},
		{"underlay", "A capture on the underlay holds WireGuard only", showUnderlay},
		{"spine", "A capture inside a spine holds VXLAN with MACsec only", showSpine},
		{"attack-link", "Somebody on a link injects into WireGuard and beside it", showAttackLink},
		{"attack-spine", "A spine in enemy hands tampers, replays, invents", showAttackSpine},
		{"attack-leaf", "A leaf in enemy hands reaches for what is not its own", showAttackLeaf},
		{"kill", "A spine is killed, traffic goes on", showKill},
		{"extend", "A tenant and a leaf are added while all tenants send", extend},
		{"after", "After all that, every host still reaches its tenant", showReach},
	}
}

func showReach(ctx context.Context, b *Bench) (string, any, error) {
	if err := b.AwaitReach(ctx, 15*time.Second); err != nil {
		return "", nil, err
	}
	r, err := b.Matrix(ctx, 5)
	return fmt.Sprintf("%d pairs, %d of %d echoes, mean %.2f ms", r.Pairs, r.Received, r.Sent, r.RTT), r, err
}

func showEVPN(ctx context.Context, b *Bench) (string, any, error) {
	r, err := b.EVPN(ctx)
	return fmt.Sprintf("%d ends of sessions up, %d VTEPs found, %d MACs placed, none learned from frames", r.Sessions, r.VTEPs, r.MACs), r, err
}

func showExtend(ctx context.Context, b *Bench, file string) (string, any, error) {
	r, err := b.Extend(ctx, file)
	sent, lost := 0, 0
	for _, s := range r.Streams {
		sent += s.Sent
		lost += s.Lost
	}
	return fmt.Sprintf("%d nodes and %d tenant more, all reach each other after %.1f s; %d of %d datagrams lost", r.Nodes, r.Tenants, r.Took/1e3, lost, sent), r, err
}

func showMTU(ctx context.Context, b *Bench) (string, any, error) {
	r, err := b.FullMTU(ctx)
	return fmt.Sprintf("%d echoes of %d bytes with DF", r.Pings, r.MTU), r, err
}

func showLossless(ctx context.Context, b *Bench) (string, any, error) {
	r, err := b.Lossless(ctx, 5)
	return fmt.Sprintf("%.0f Mbit/s; drops of any kind: %v; segments lost: %d of %d", r.TCP.Mbps, r.Drops, r.TCP.Lost(), r.TCP.Sent), r, err
}

func showTCP(ctx context.Context, b *Bench) (string, any, error) {
	h := b.Topo.Hosts(b.Topo.Tenants[1].Name)
	r, err := b.TCP(ctx, h[0].Name, h[len(h)-1].Name, 3)
	return fmt.Sprintf("%.0f Mbit/s from %s to %s", r.Mbps, r.From, r.To), r, err
}

func showIsolation(ctx context.Context, b *Bench) (string, any, error) {
	r, err := b.Isolation(ctx)
	return fmt.Sprintf("%d questions answered by the own tenant, %d frames at hosts, %d strayed", r.Asked, r.Looked, r.Strayed), r, err
}

func showUnderlay(ctx context.Context, b *Bench) (string, any, error) {
	r, err := b.Underlay(ctx)
	messages, bytes, clear := 0, 0, 0
	for _, u := range r {
		messages += u.Messages
		bytes += u.Bytes
		clear += u.Clear
	}
	return fmt.Sprintf("%d WireGuard messages in %d bytes, VXLAN or tenant bytes: %d", messages, bytes, clear), r, err
}

func showSpine(ctx context.Context, b *Bench) (string, any, error) {
	r, err := b.SpineView(ctx)
	packets, macsec := 0, 0
	for _, v := range r {
		packets += v.Packets - v.Fabric
		macsec += v.MACsec
	}
	return fmt.Sprintf("%d VXLAN packets, %d with MACsec inside, no tenant byte", packets, macsec), r, err
}

// attacksSeen says what became of attacks: how many, and their reasons.
func attacksSeen(as []Attack) string {
	var reasons []string
	seen := map[string]bool{}
	for _, a := range as {
		if a.Reason != "" && !seen[a.Reason] {
			seen[a.Reason] = true
			reasons = append(reasons, a.Reason)
		}
	}
	return fmt.Sprintf("%d attacks dropped and counted: %s", len(as), strings.Join(reasons, ", "))
}

func showAttackLink(ctx context.Context, b *Bench) (string, any, error) {
	r, err := b.AttackUnderlay(ctx)
	return attacksSeen(r), r, err
}

func showAttackSpine(ctx context.Context, b *Bench) (string, any, error) {
	r, err := b.AttackSpine(ctx)
	return fmt.Sprintf("it carried %d packets and read none; %s", r.Carried, attacksSeen(r.Attacks)), r, err
}

func showAttackLeaf(ctx context.Context, b *Bench) (string, any, error) {
	r, err := b.AttackLeaf(ctx)
	return attacksSeen(r), r, err
}

func showKill(ctx context.Context, b *Bench) (string, any, error) {
	r, err := b.KillSpine(ctx)
	return fmt.Sprintf("%d of %d flows hit, loss window %.0f ms; back in use without loss", r.Hit, r.Flows, r.Window), r, err
}
