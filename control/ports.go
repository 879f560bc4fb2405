package control

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/engine/port"
	"github.com/ztos/ztos/engine/port/afpacket"
	"github.com/ztos/ztos/engine/port/netport"
	"github.com/ztos/ztos/engine/port/tap"
	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/engine/worker"
	"github.com/ztos/ztos/fabric"
)

// portState is an open port.
type portState struct {
	id     table.PortID
	cfg    config.Port
	device port.Port
	counts *fabric.PortCounters

	workers []*worker.Worker
	graphs  []*fabric.LeafIn

	status port.Status // as last seen
	mtu    int         // tenant MTU that was asked for; 0 before the first time
}

// openPort opens the device of p. A device that is not there yet is waited for.
func openPort(p *config.Port) (port.Port, error) {
	switch p.Kind {
	case config.TAP:
		return tap.Open(tap.Config{Name: p.Name, Device: p.Device, Queues: portQueues(p)})
	case config.AFXDP, config.AutoPort:
		c := netport.Config{
			Name: p.Name, Device: p.Device, Queues: max(1, p.Queues), Own: p.Own, WhenFaster: p.Kind == config.AutoPort,
		}
		if p.Fallback == config.FallbackNone {
			c.Fallback = netport.ToNothing
		}
		return netport.Open(c)
	case config.AFPacket:
		return afpacket.Open(afpacket.Config{
			Name: p.Name, Device: p.Device, Queues: portQueues(p), Own: p.Own, AllowAbsent: true,
		})
	}
	return nil, fmt.Errorf("kind %v is not supported", p.Kind)
}

// usesXDP reports whether a port of this kind may hold its device's queues.
func usesXDP(p *config.Port) bool { return p.Kind == config.AFXDP || p.Kind == config.AutoPort }

// heldByXDP reports whether an open port may hold the queues of a device.
func (n *Node) heldByXDP(device string) bool {
	for _, p := range n.ports {
		if usesXDP(&p.cfg) && p.cfg.Device == device {
			return true
		}
	}
	return false
}

// tellDriver says which driver a port goes by when that has changed, and why it is
// not the one that was asked for.
func (n *Node) tellDriver(p *portState, was port.Status) {
	st := p.status
	if !usesXDP(&p.cfg) || !st.Present || st.Driver == was.Driver && st.Note == was.Note {
		return
	}
	log := n.log.With("port", p.cfg.Name, "device", p.cfg.Device, "driver", st.Driver)
	switch {
	case st.Note == "":
		log.Info("port goes by AF_XDP", "detail", st.Detail)
	case p.cfg.Kind == config.AutoPort:
		log.Info("port chose its driver", "why", st.Note)
	default:
		log.Warn("port fell back", "why", st.Note)
	}
}

// changed reports whether the port has to be opened anew for cfg.
func (p *portState) changed(cfg *config.Port) bool {
	was, is := p.cfg, *cfg
	was.MACLimit, is.MACLimit = 0, 0
	return was != is
}

// watchPorts notices devices that went or came and says so.
func (n *Node) watchPorts() {
	for _, name := range slices.Sorted(maps.Keys(n.ports)) {
		p := n.ports[name]
		st := p.device.Status()
		was := p.status
		p.status = st
		n.tellDriver(p, was)
		if was.Up == st.Up && was.Present == st.Present {
			continue
		}
		log := n.log.With("port", name, "device", p.cfg.Device)
		switch {
		case !st.Present:
			log.Warn("port lost its device", "detail", st.Detail)
		case !st.Up:
			log.Warn("port is down", "detail", st.Detail)
		default:
			log.Info("port is up", "mtu", st.MTU, "detail", st.Detail)
			p.mtu = 0 // a new device has its own
		}
		n.sizePorts(p)
		if !st.Up {
			n.flushPort(p.id)
		}
	}
}

// sizePorts sets the MTU of ports that the engine owns to the greatest tenant MTU
// of their attachment circuits. The bridge domains are walked once for all.
func (n *Node) sizePorts(ports ...*portState) {
	want := map[string]int{}
	for _, d := range n.domains {
		for i := range d.cfg.Attach {
			if port := d.cfg.Attach[i].Port; d.domain.TenantMTU > want[port] {
				want[port] = d.domain.TenantMTU
			}
		}
	}
	for _, p := range ports {
		n.sizePort(p, want[p.cfg.Name])
	}
}

// sizePort sets the MTU of p to want; 0 leaves it as it is.
func (n *Node) sizePort(p *portState, want int) {
	if want == 0 || want == p.mtu {
		return
	}
	switch err := p.device.SetMTU(want); {
	case err == nil:
		p.mtu = want
		was := p.status
		p.status = p.device.Status()
		n.tellDriver(p, was) // another MTU may want another driver
	case errors.Is(err, port.ErrNotOwned):
		p.mtu = want
		if st := p.status; st.MTU != 0 && st.MTU != want {
			n.log.Info("port is not owned: its MTU stays", "port", p.cfg.Name, "mtu", st.MTU, "tenant_mtu", want)
		}
	case errors.Is(err, unix.ENODEV):
	default:
		n.log.Warn("port MTU not set", "port", p.cfg.Name, "tenant_mtu", want, "err", err)
	}
}

// startPort runs a worker for each receive queue of p.
func (n *Node) startPort(p *portState) {
	for q := range p.device.Queues() {
		name := fmt.Sprintf("leaf-in %s.%d", p.cfg.Name, q)
		block := n.newBlock(name)
		g := fabric.NewLeafIn(n.env, name, block, p.id, p.device.Rx(q), n.mux.NewSender(), n.plainTx())
		p.graphs = append(p.graphs, g)
		p.workers = append(p.workers, worker.Start(name, g, block, n.events()))
	}
}

// stopPort ends p's workers and closes its device. No snapshot names it any
// more, and no worker sees one that does.
func (n *Node) stopPort(p *portState) {
	for _, w := range p.workers {
		w.Stop()
	}
	if err := p.device.Close(); err != nil {
		n.log.Warn("port did not close cleanly", "port", p.cfg.Name, "err", err)
	}
	for i, w := range p.workers {
		await(n.log, w)
		p.graphs[i].Close()
	}
}

// await waits until w has ended, and says so when it does not.
func await(log *slog.Logger, w *worker.Worker) {
	select {
	case <-w.Done():
	case <-time.After(5 * time.Second):
		log.Error("worker does not end", "worker", w.Name())
		<-w.Done()
	}
}
