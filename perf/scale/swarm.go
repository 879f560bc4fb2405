package scale

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/ztos/ztos/lab/netplumb"
	"github.com/ztos/ztos/wireguard"
	"github.com/ztos/ztos/wireguard/noise"
)

// Swarm is the other ends of an engine's WireGuard peers: a node and a socket
// each, in the engine's namespace. They open a session and keep it.
type Swarm struct {
	stop context.CancelFunc
	wg   sync.WaitGroup
}

// NewSwarm starts the far ends of all peers of e's site. With a liveness interval
// they probe as often; the engine's document must say the same.
func NewSwarm(e *Engine, liveness time.Duration) (*Swarm, error) {
	ctx, stop := context.WithCancel(context.Background())
	s := &Swarm{stop: stop}
	hub := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), listenPort)
	for i := range e.site.Load.Peers {
		var conn *net.UDPConn
		err := netplumb.Do(e.ns, func() (err error) {
			// An address each: a node under load counts handshakes by source.
			own := &net.UDPAddr{IP: net.IPv4(127, 1, byte((i+1)>>8), byte(i+1))}
			conn, err = net.DialUDP("udp", own, net.UDPAddrFromAddrPort(hub))
			return err
		})
		if err != nil {
			s.Close()
			return nil, fmt.Errorf("scale: %w", err)
		}
		node, err := wireguard.NewNode(wireguard.Config{Private: wgKey(i + 1), Wall: time.Now})
		must(err)
		_, err = node.AddPeer(1, wireguard.PeerConfig{
			PublicKey: wireguard.PublicKey(publicKey(0)), Endpoint: hub, AlwaysOn: true,
			Liveness: wireguard.Liveness{Interval: liveness, Multiplier: 20},
		})
		must(err)
		s.wg.Go(func() { far(ctx, node, conn, hub) })
	}
	return s, nil
}

// Close ends all far ends.
func (s *Swarm) Close() {
	s.stop()
	s.wg.Wait()
}

// far runs one node until ctx is done.
func far(ctx context.Context, node *wireguard.Node, conn *net.UDPConn, hub netip.AddrPort) {
	defer conn.Close()
	began := time.Now()
	clock := func() int64 { return int64(time.Since(began)) + 1 }
	send := func(outs []wireguard.Out) {
		for _, o := range outs {
			conn.Write(o.Msg) //nolint:errcheck // lost, as datagrams may be
		}
	}
	var batch wireguard.Batch
	buf := make([]byte, 2048)
	for ctx.Err() == nil {
		send(node.Tick(clock()))
		for _, r := range node.TakeRetired() {
			r.Wipe()
		}
		node.TakeEvents()
		wait := time.Duration(node.NextDeadline(clock()) - clock())
		conn.SetReadDeadline(time.Now().Add(min(max(wait, time.Millisecond), time.Second))) //nolint:errcheck // an open socket takes it
		n, err := conn.Read(buf)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
		case err != nil: // the engine is not there
			time.Sleep(10 * time.Millisecond)
		case noise.Classify(buf[:n]) == noise.TypeData:
			batch.OpenRun(node.Sessions(), clock(), buf[:n], n)
			batch.Report(clock(), hub)
		default:
			send(node.HandleMessage(clock(), hub, append([]byte(nil), buf[:n]...)))
		}
	}
}

// Up waits until every peer of the engine has a session and returns how long.
func (s *Swarm) Up(ctx context.Context, e *Engine) (time.Duration, error) {
	began := time.Now()
	for {
		ps, err := e.api.Peers(ctx)
		if err != nil {
			return 0, fmt.Errorf("scale: %w", err)
		}
		up := 0
		for i := range ps {
			if ps[i].HasSession {
				up++
			}
		}
		if up == len(ps) {
			return time.Since(began), nil
		}
		if time.Since(began) > startLimit {
			return 0, fmt.Errorf("scale: %d of %d peers have a session", up, len(ps))
		}
		time.Sleep(20 * time.Millisecond)
	}
}
