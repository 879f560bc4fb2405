package control

import (
	"net/netip"

	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/config/status"
	"github.com/ztos/ztos/engine/port"
	"github.com/ztos/ztos/engine/underlay"
	"github.com/ztos/ztos/engine/underlay/xdp"
	"github.com/ztos/ztos/fabric/hostnet"
)

// past is the part of the underlay that goes past the kernel's IP stack, and who
// knows the ways there.
type past struct {
	conn     *xdp.Conn
	resolver *hostnet.Resolver
	source   netip.Addr // of all datagrams; unspecified: the kernel chooses
	was      map[string]underlay.Device
}

// openUnderlay opens WireGuard's sockets and, where the configuration says so, the
// devices in front of them.
func (n *Node) openUnderlay(cfg *config.Node, queues int) error {
	u := &cfg.Underlay
	mux, err := underlay.Open(underlay.Config{
		Listen: u.Listen, Queues: queues, SourcePorts: sourcePorts(u, queues), RecvBuf: recvBuf(queues),
		DisableGSO: !u.GSO.On(), DisableGRO: !u.GRO.On(),
	})
	if err != nil {
		return err
	}
	n.mux = mux
	if len(u.AFXDP) == 0 {
		return nil
	}
	r, err := hostnet.NewResolver()
	if err != nil {
		return err
	}
	conn, err := xdp.Open(xdp.Config{Mux: mux, Devices: u.AFXDP, Queues: queues})
	if err != nil {
		r.Close()
		return err
	}
	n.mux = conn
	n.past = &past{conn: conn, resolver: r, source: u.Listen.Addr().Unmap(), was: map[string]underlay.Device{}}
	return nil
}

// destinations returns where peers are, for watchUnderlay. Under Node.mu.
func (n *Node) destinations() (dsts []netip.Addr) {
	if n.past == nil || n.wg == nil {
		return nil
	}
	for _, p := range n.wg.Peers() {
		if e := p.Endpoint(); e != nil {
			dsts = append(dsts, e.Addr.Addr())
		}
	}
	return dsts
}

// watchUnderlay brings the devices to what the kernel knows now of addresses,
// routes and neighbours, and tells what changed about them. It asks the kernel
// some things for each peer, and is not called under Node.mu; only by the loop.
func (n *Node) watchUnderlay(dsts []netip.Addr) {
	p := n.past
	if p == nil {
		return
	}
	local, err := p.resolver.Addrs(p.source)
	n.say("underlay addresses", err)
	if err != nil {
		return // the next time
	}
	hops, err := p.resolver.Hops(p.conn.Devices(), p.source, dsts)
	n.say("underlay next hops", err)
	n.say("underlay devices", p.conn.Update(local, hops))
	for _, d := range p.conn.Status().Devices {
		was, seen := p.was[d.Name]
		p.was[d.Name] = d
		switch {
		case seen && was.On == d.On && was.Why == d.Why:
		case d.On:
			n.log.Info("underlay goes by AF_XDP", "device", d.Name, "detail", d.Detail)
		default:
			n.log.Warn("underlay goes by UDP sockets instead of AF_XDP", "device", d.Name, "why", d.Why)
		}
	}
}

// devices says how the underlay's devices are.
func devices(u *underlay.Status) (out []status.Device) {
	for _, d := range u.Devices {
		s := status.Device{Name: d.Name, Driver: port.AFXDP, Detail: d.Detail, Hops: d.Hops}
		if !d.On {
			s.Driver, s.Note = status.DriverUDP, "UDP sockets instead of AF_XDP: "+d.Why
		}
		out = append(out, s)
	}
	return out
}

// close frees what is not the Conn's, which Node.mux is.
func (p *past) close() {
	if p != nil {
		p.resolver.Close()
	}
}
