package check

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"time"

	"golang.zx2c4.com/wireguard/conn"
	"golang.zx2c4.com/wireguard/device"
	"golang.zx2c4.com/wireguard/tun/tuntest"

	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/crypto/secret"
	"github.com/ztos/ztos/lab"
)

// rogue is a node in enemy hands: it has the WireGuard keys of a node of the
// fabric, runs in its place, and says whatever it likes above WireGuard. Its
// WireGuard is wireguard-go.
type rogue struct {
	node string
	bed  *Bench
	dev  *device.Device
	tun  *tuntest.ChannelTUN
	stop chan struct{}
	wg   sync.WaitGroup

	mu    sync.Mutex
	route func(outer) []outer // what to send for a packet that came in
	heard []outer
}

// rogueKeepalive is how often a rogue sends each peer a keepalive: more often
// than any liveness interval of the labs, so that it counts as alive.
const rogueKeepalive = 100 * time.Millisecond

// rogue kills a node's engine and runs a rogue in its place. also gives peers
// further allowed IPs, so that packets to these addresses go to that peer. The
// rogue forwards nothing until told by forward. End it with end.
func (b *Bench) rogue(ctx context.Context, name string, also map[string][]netip.Prefix) (*rogue, error) {
	cfg, err := config.Load(b.Lab.ConfigPath(name))
	if err != nil {
		return nil, fmt.Errorf("check: rogue %s: %w", name, err)
	}
	uapi, err := wireguardGo(cfg, also)
	if err != nil {
		return nil, fmt.Errorf("check: rogue %s: %w", name, err)
	}
	b.dropNode(name)
	if err := b.Lab.StopProcess(ctx, name, lab.EngineProcess, sigkill); err != nil {
		return nil, err
	}
	r := &rogue{node: name, bed: b, tun: tuntest.NewChannelTUN(), stop: make(chan struct{}), route: func(outer) []outer { return nil }}
	quiet := &device.Logger{Verbosef: device.DiscardLogf, Errorf: device.DiscardLogf}
	r.dev = device.NewDevice(r.tun.TUN(), insideBind{conn.NewStdNetBind(), b, name}, quiet)
	// The engine's threads may still be ending, and hold the port.
	err = eventually(ctx, 2*time.Second, func() error {
		if err := r.dev.IpcSet(uapi); err != nil {
			return err
		}
		return r.dev.Up()
	})
	if err != nil {
		r.dev.Close()
		return nil, errors.Join(fmt.Errorf("check: rogue %s: %w", name, err), b.startEngine(ctx, name))
	}
	r.wg.Go(r.pump)
	r.wg.Go(func() { r.keepalive(cfg) })
	return r, nil
}

// insideBind opens wireguard-go's sockets inside a node's namespace, whichever
// goroutine asks: the device does so on its own too.
type insideBind struct {
	conn.Bind
	bed  *Bench
	node string
}

// Open implements conn.Bind.
func (i insideBind) Open(port uint16) (fns []conn.ReceiveFunc, actual uint16, err error) {
	err = i.bed.in(i.node, func() (err error) {
		fns, actual, err = i.Bind.Open(port)
		return err
	})
	return fns, actual, err
}

// wireguardGo returns the configuration of a node as wireguard-go takes it.
func wireguardGo(cfg *config.Node, also map[string][]netip.Prefix) (string, error) {
	private, err := secret.LoadBase64(cfg.WireGuard.PrivateKeyFile)
	if err != nil {
		return "", err
	}
	var s strings.Builder
	fmt.Fprintf(&s, "private_key=%s\nlisten_port=%d\nreplace_peers=true\n", hex.EncodeToString(private.Bytes()), cfg.Underlay.Listen.Port())
	for _, p := range cfg.Peers {
		fmt.Fprintf(&s, "public_key=%s\nendpoint=%s\n", hex.EncodeToString(p.PublicKey[:]), p.Endpoint)
		if p.PresharedKeyFile != "" {
			psk, err := secret.LoadBase64(p.PresharedKeyFile)
			if err != nil {
				return "", err
			}
			fmt.Fprintf(&s, "preshared_key=%s\n", hex.EncodeToString(psk.Bytes()))
		}
		for _, a := range p.AllowedIPs {
			fmt.Fprintf(&s, "allowed_ip=%s\n", a)
		}
	}
	// Last, because the last peer that is given a prefix has it.
	for _, p := range cfg.Peers {
		if len(also[p.Name]) == 0 {
			continue
		}
		fmt.Fprintf(&s, "public_key=%s\n", hex.EncodeToString(p.PublicKey[:]))
		for _, a := range also[p.Name] {
			fmt.Fprintf(&s, "allowed_ip=%s\n", a)
		}
	}
	return s.String(), nil
}

// keepalive makes and holds sessions with all peers.
func (r *rogue) keepalive(cfg *config.Node) {
	tick := time.NewTicker(rogueKeepalive)
	defer tick.Stop()
	for {
		for _, p := range cfg.Peers {
			if peer := r.dev.LookupPeer(device.NoisePublicKey(p.PublicKey)); peer != nil {
				peer.SendKeepalive()
			}
		}
		select {
		case <-r.stop:
			return
		case <-tick.C:
		}
	}
}

// pump takes what arrives and sends what route makes of it.
func (r *rogue) pump() {
	for {
		select {
		case <-r.stop:
			return
		case p := <-r.tun.Inbound:
			r.mu.Lock()
			var out []outer
			if o := outer(p); o.protected() {
				if len(r.heard) < 10_000 {
					r.heard = append(r.heard, o)
				}
				out = r.route(o)
			}
			r.mu.Unlock()
			r.send(out...)
		}
	}
}

// send seals packets and sends them to the peer that their destination belongs
// to.
func (r *rogue) send(packets ...outer) {
	for _, p := range packets {
		select {
		case <-r.stop:
			return
		case r.tun.Outbound <- p:
		}
	}
}

// sessions says for each peer when it had a handshake and what it moved, for
// messages. It holds no key.
func (r *rogue) sessions() string {
	text, err := r.dev.IpcGet()
	if err != nil {
		return err.Error()
	}
	var out []string
	for line := range strings.Lines(text) {
		name, _, _ := strings.Cut(line, "=")
		switch name {
		case "endpoint", "last_handshake_time_sec", "tx_bytes", "rx_bytes":
			out = append(out, strings.TrimSpace(line))
		}
	}
	return fmt.Sprintf("now %d: %s", time.Now().Unix(), strings.Join(out, " "))
}

// behave sets what the rogue sends for each VXLAN packet that comes in, and
// forgets what it has heard.
func (r *rogue) behave(route func(outer) []outer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.route, r.heard = route, nil
}

// forward is the behaviour of an honest spine.
func forward(o outer) []outer { return []outer{o} }

// withhold lets nothing through.
func withhold(outer) []outer { return nil }

// packets returns the VXLAN packets heard since behave.
func (r *rogue) packets() []outer {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]outer(nil), r.heard...)
}

// end stops the rogue and starts the node's engine again.
func (r *rogue) end(ctx context.Context) error {
	close(r.stop)
	// A write of wireguard-go into the TUN may be waiting for pump.
	go func() {
		for range r.tun.Inbound {
		}
	}()
	r.dev.Close()
	r.wg.Wait()
	return r.bed.startEngine(context.WithoutCancel(ctx), r.node)
}
