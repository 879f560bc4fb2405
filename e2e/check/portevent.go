package check

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/ztos/ztos/api/ztosv1"
	"github.com/ztos/ztos/lab"
)

// PortEvents is the result of Bench.PortEvents.
type PortEvents struct {
	Leaf string `json:"leaf"`
	Port string `json:"port"`
	// From the link's return until a ping was answered, milliseconds.
	AfterUp      float64 `json:"answered_after_up_ms"`
	AfterRemoval float64 `json:"answered_after_removal_ms"`
}

// portMost is how long traffic may take to resume.
const portMost = 10 * time.Second

// PortEvents takes the link of the first tenant's first host down and up, then
// removes the device and makes it again. The engine must say each time what the
// port is, live on, and carry traffic again.
func (b *Bench) PortEvents(ctx context.Context) (PortEvents, error) {
	h := b.Topo.Hosts(b.Topo.Tenants[0].Name)
	host, far := h[0], h[1]
	port := host.Host.Port
	r := PortEvents{Leaf: port.Node, Port: port.Dev}
	pid, err := b.enginePID(port.Node)
	if err != nil {
		return r, err
	}
	ip := func(node string, args ...string) error {
		_, err := b.run(ctx, node, append([]string{"ip"}, args...)...)
		return err
	}
	if err := ip(port.Node, "link", "set", port.Dev, "down"); err != nil {
		return r, err
	}
	if err := b.awaitPort(ctx, port, true, false); err != nil {
		return r, err
	}
	if err := ip(port.Node, "link", "set", port.Dev, "up"); err != nil {
		return r, err
	}
	if r.AfterUp, err = b.resumes(ctx, host, far); err != nil {
		return r, err
	}
	if err := ip(port.Node, "link", "del", port.Dev); err != nil {
		return r, err
	}
	if err := b.awaitPort(ctx, port, false, false); err != nil {
		return r, err
	}
	if err := b.plugIn(ctx, host); err != nil {
		return r, err
	}
	if r.AfterRemoval, err = b.resumes(ctx, host, far); err != nil {
		return r, err
	}
	if err := b.awaitPort(ctx, port, true, true); err != nil {
		return r, err
	}
	if now, err := b.enginePID(port.Node); err != nil || now != pid {
		return r, fmt.Errorf("the engine of %s is process %d, was %d: it did not live on (%v)", port.Node, now, pid, err)
	}
	return r, nil
}

// plugIn makes the cable of an untagged host again, as the lab did.
func (b *Bench) plugIn(ctx context.Context, h *lab.Node) error {
	port := h.Host.Port
	add := []string{"link", "add", port.Dev, "mtu", strconv.Itoa(h.Host.MTU), "type", "veth",
		"peer", "name", "eth0", "netns", b.Lab.Namespace(h.Name), "mtu", strconv.Itoa(h.Host.MTU)}
	if h.Host.MAC != 0 {
		add = append(add, "address", h.Host.MAC.String())
	}
	steps := []struct {
		node string
		args []string
	}{{port.Node, add}}
	for _, a := range h.Host.Addresses {
		steps = append(steps, struct {
			node string
			args []string
		}{h.Name, []string{"addr", "add", a.String(), "dev", "eth0"}})
	}
	for _, s := range append(steps, struct {
		node string
		args []string
	}{h.Name, []string{"link", "set", "eth0", "up"}}, struct {
		node string
		args []string
	}{port.Node, []string{"link", "set", port.Dev, "up"}}) {
		if _, err := b.run(ctx, s.node, append([]string{"ip"}, s.args...)...); err != nil {
			return err
		}
	}
	return nil
}

// resumes waits until a ping is answered and returns after how many
// milliseconds.
func (b *Bench) resumes(ctx context.Context, from, to *lab.Node) (float64, error) {
	start := time.Now()
	err := eventually(ctx, portMost, func() error {
		p, err := b.ping(ctx, from.Name, addr(to, false), pingOptions{})
		if err == nil && p.Received == 0 {
			err = fmt.Errorf("%s does not reach %s %v after its port came back", from.Name, to.Name, portMost)
		}
		return err
	})
	return time.Since(start).Seconds() * 1e3, err
}

// awaitPort waits until an engine says that a port is as it should be.
func (b *Bench) awaitPort(ctx context.Context, port lab.Ref, present, up bool) error {
	return eventually(ctx, portMost, func() error {
		return b.call(ctx, port.Node, func(ctx context.Context, n *node) error {
			r, err := n.ListPorts(ctx, &ztosv1.ListPortsRequest{})
			if err != nil {
				return err
			}
			for _, p := range r.Ports {
				if p.Name == port.Dev {
					if p.Present != present || p.Up != up {
						return fmt.Errorf("port %v: present %v, up %v (%s); want %v, %v", port, p.Present, p.Up, p.Detail, present, up)
					}
					return nil
				}
			}
			return fmt.Errorf("no port %v", port)
		})
	})
}
