package check

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/ztos/ztos/lab"
)

// Underlay is what a look at a spine's links found.
type Underlay struct {
	Node     string `json:"node"`
	Frames   int    `json:"frames"`
	Bytes    int    `json:"bytes"`
	Messages int    `json:"wireguard_messages"`
	Data     int    `json:"wireguard_data"` // of them, data messages
	// Frames of the links themselves: ARP, neighbour and multicast listener
	// discovery.
	Link int `json:"link_frames"`
	// Tenant bytes, tenant MACs, VXLAN, or anything else in the clear. Always 0
	// without an error.
	Clear int `json:"clear"`
}

// Underlay looks at all links of every spine (of every leaf, when there is
// none) while all tenants talk, with their marks in every payload: by ping and
// by a TCP transfer. Every IP packet must be UDP between ports that engines have
// open and hold nothing but WireGuard messages; no mark and no tenant MAC may
// be found anywhere.
func (b *Bench) Underlay(ctx context.Context) ([]Underlay, error) {
	nodes := b.kind(lab.Spine)
	if len(nodes) == 0 {
		nodes = b.kind(lab.Leaf)
	}
	var looks []*underlayLook
	for _, n := range nodes {
		l, err := b.lookAtUnderlay(n)
		if err != nil {
			return nil, err
		}
		looks = append(looks, l)
	}
	talkErr := b.talk(ctx)
	pause(ctx, 100*time.Millisecond)
	ports, err := b.enginePorts(ctx)
	if err != nil {
		return nil, err
	}
	var out []Underlay
	errs := []error{talkErr}
	data := 0
	for _, l := range looks {
		l.ports = ports
		r, err := l.end()
		out = append(out, r)
		errs = append(errs, err)
		data += r.Data
	}
	if data == 0 {
		errs = append(errs, errors.New("underlay: no WireGuard data message seen: the look proves nothing"))
	}
	return out, errors.Join(errs...)
}

// talk lets the tenants ping and move 1 MiB of marks by TCP between their first
// two hosts.
func (b *Bench) talk(ctx context.Context) error {
	_, err := b.Matrix(ctx, 2)
	errs := []error{err}
	for _, t := range b.Topo.Tenants {
		if h := b.Topo.Hosts(t.Name); len(h) > 1 {
			errs = append(errs, b.push(h[0].Name, h[1].Name, 1<<20))
		}
	}
	return errors.Join(errs...)
}

// push moves n bytes of the tenant's mark from one host to another by TCP.
func (b *Bench) push(from, to string, n int) error {
	dst, err := b.hostNode(to)
	if err != nil {
		return err
	}
	var l *net.TCPListener
	err = b.in(to, func() (err error) {
		l, err = net.ListenTCP("tcp4", &net.TCPAddr{IP: addr(dst, false).AsSlice()})
		return err
	})
	if err != nil {
		return fmt.Errorf("check: listen on %s: %w", to, err)
	}
	defer l.Close()
	var c net.Conn
	err = b.in(from, func() (err error) {
		c, err = net.DialTimeout("tcp4", l.Addr().String(), 3*time.Second)
		return err
	})
	if err != nil {
		return fmt.Errorf("check: TCP from %s to %s: %w", from, to, err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	go func() {
		buf := make([]byte, n)
		m := MarkerOf(dst.Host.Tenant)
		m.fill(buf)
		c.Write(buf) //nolint:errcheck // the receiver sees it
		c.(*net.TCPConn).CloseWrite()
	}()
	l.SetDeadline(time.Now().Add(5 * time.Second))
	s, err := l.Accept()
	if err != nil {
		return fmt.Errorf("check: TCP from %s to %s: %w", from, to, err)
	}
	defer s.Close()
	s.SetDeadline(time.Now().Add(10 * time.Second))
	got, err := io.Copy(io.Discard, s)
	if err == nil && got != int64(n) {
		err = fmt.Errorf("%d of %d bytes arrived", got, n)
	}
	if err != nil {
		return fmt.Errorf("check: TCP from %s to %s: %w", from, to, err)
	}
	return nil
}

// underlayLook is a tap on a node's underlay links.
type underlayLook struct {
	node    string
	tap     *tap
	markers []Marker
	macs    [][]byte
	ports   map[uint16]bool // UDP ports that engines have open
}

// enginePorts returns the UDP ports that the engines have open: WireGuard's and
// their source ports.
func (b *Bench) enginePorts(ctx context.Context) (map[uint16]bool, error) {
	out := map[uint16]bool{}
	for _, e := range b.Engines() {
		// /proc/net shows the namespace of the reading process.
		text, err := b.run(ctx, e, "cat", "/proc/net/udp", "/proc/net/udp6")
		if err != nil {
			return nil, err
		}
		for line := range strings.Lines(text) {
			f := strings.Fields(line)
			if len(f) < 2 {
				continue
			}
			_, hexPort, ok := strings.Cut(f[1], ":") // local address and port
			if p, err := strconv.ParseUint(hexPort, 16, 16); ok && err == nil {
				out[uint16(p)] = true
			}
		}
	}
	if !out[lab.WireGuardPort] {
		return nil, fmt.Errorf("check: no engine has UDP port %d open", lab.WireGuardPort)
	}
	return out, nil
}

func (b *Bench) lookAtUnderlay(node string) (*underlayLook, error) {
	l := &underlayLook{node: node}
	for _, t := range b.Topo.Tenants {
		l.markers = append(l.markers, MarkerOf(t.Name))
		for _, h := range b.Topo.Hosts(t.Name) {
			if m := h.Host.MAC; m != 0 {
				b := make([]byte, 6)
				m.Put(b)
				l.macs = append(l.macs, b)
			}
		}
	}
	var devs []string
	for _, link := range b.Topo.Links {
		for _, e := range link.Ends {
			if e.At.Node == node {
				devs = append(devs, e.At.Dev)
			}
		}
	}
	var err error
	l.tap, err = b.tap(node, nil, devs...)
	return l, err
}

func (l *underlayLook) end() (Underlay, error) {
	frames, err := l.tap.close()
	errs := []error{err}
	r := Underlay{Node: l.node, Frames: len(frames)}
	for _, f := range frames {
		r.Bytes += len(f.data)
		if err := l.look(&r, f.data); err != nil {
			if r.Clear++; r.Clear > 3 {
				break
			}
			errs = append(errs, fmt.Errorf("%s:%s: %w:\n%s", l.node, f.dev, err, dump(f.data)))
		}
	}
	return r, errors.Join(errs...)
}

// look judges one frame.
func (l *underlayLook) look(r *Underlay, f []byte) error {
	for _, m := range l.markers {
		if m.in(f) {
			return errors.New("tenant bytes in the clear on the underlay")
		}
	}
	if len(f) < 14 {
		return errors.New("a frame shorter than its header")
	}
	for _, m := range l.macs {
		if bytes.Contains(f[14:], m) {
			return errors.New("a tenant's MAC in the clear on the underlay")
		}
	}
	switch p := f[14:]; binary.BigEndian.Uint16(f[12:]) {
	case 0x0806: // ARP
		r.Link++
		return nil
	case 0x86dd:
		// ICMPv6, also behind the hop-by-hop options of listener reports.
		if len(p) > 48 && (p[6] == 58 || p[6] == 0 && p[40] == 58) {
			r.Link++
			return nil
		}
	}
	d, ok := parseUDP(f)
	switch {
	case !ok:
		return errors.New("neither WireGuard nor a frame of the link itself")
	case d.src.Port() == 4789 || d.dst.Port() == 4789:
		return errors.New("VXLAN in the clear on the underlay")
	case !l.ports[d.src.Port()] || !l.ports[d.dst.Port()]:
		return fmt.Errorf("UDP %v to %v is not between ports of engines", d.src, d.dst)
	}
	msgs, ok := wgMessages(d.payload)
	if !ok {
		return errors.New("a UDP payload that is not WireGuard messages")
	}
	r.Messages += len(msgs)
	if msgs[0][0] == wgData {
		r.Data += len(msgs)
	}
	return nil
}
