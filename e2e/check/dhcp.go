package check

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/ztos/ztos/config/status"
	"github.com/ztos/ztos/engine/table"
)

// dhcpMost is how long a client may take: its first message may meet a leaf that
// does not know the server's MAC or route yet, and it asks again after a second.
const dhcpMost = 30 * time.Second

// udhcpcScript sets what udhcpc was given.
const udhcpcScript = `#!/bin/sh
case $1 in
deconfig) ip -4 address flush dev "$interface" ;;
bound | renew)
	ip address replace "$ip/$mask" dev "$interface"
	ip route replace default via "${router%% *}"
	;;
esac
`

// Lease is what a client was given.
type Lease struct {
	Address netip.Addr `json:"address"`
	Server  netip.Addr `json:"server"` // as the client sees it; IPv4 only
	Seconds float64    `json:"seconds"`
}

// dhcpClient is udhcpc at work in a host.
type dhcpClient struct {
	out  lockedBuffer
	kill func(syscall.Signal) error
	stop func()
}

// lockedBuffer is a bytes.Buffer for a writer and readers.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// obtainedRE finds what udhcpc says of a lease.
var obtainedRE = regexp.MustCompile(`lease of ([0-9.]+) obtained from ([0-9.]+)`)

// startClient starts udhcpc in a host, which has no address.
func (b *Bench) startClient(ctx context.Context, host string, options ...string) (*dhcpClient, error) {
	dir, err := os.MkdirTemp("", "ztos-dhcp-")
	if err != nil {
		return nil, err
	}
	script := filepath.Join(dir, "script")
	if err := os.WriteFile(script, []byte(udhcpcScript), 0o700); err != nil {
		return nil, err
	}
	argv := append([]string{"busybox", "udhcpc", "-f", "-i", "eth0", "-s", script, "-t", "10", "-T", "1", "-A", "1"}, options...)
	cmd, err := b.Lab.Command(ctx, host, argv...)
	if err != nil {
		return nil, err
	}
	c := &dhcpClient{}
	cmd.Stdout, cmd.Stderr = &c.out, &c.out
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	c.kill = func(s syscall.Signal) error { return cmd.Process.Signal(s) }
	c.stop = func() {
		cmd.Process.Kill() //nolint:errcheck // it may have ended
		cmd.Wait()         //nolint:errcheck // by a signal
		os.RemoveAll(dir)
	}
	return c, nil
}

// leases waits until c has told of n leases, and returns the last.
func (c *dhcpClient) leases(ctx context.Context, n int) (l Lease, err error) {
	start := time.Now()
	err = eventually(ctx, dhcpMost, func() error {
		m := obtainedRE.FindAllStringSubmatch(c.out.String(), -1)
		if len(m) < n {
			return fmt.Errorf("%d leases, want %d: %s", len(m), n, tail(c.out.String(), 400))
		}
		if l.Address, err = netip.ParseAddr(m[n-1][1]); err == nil {
			l.Server, err = netip.ParseAddr(m[n-1][2])
		}
		return err
	})
	l.Seconds = time.Since(start).Seconds()
	return l, err
}

// DHCPLease is a lease and its renewal.
type DHCPLease struct {
	Lease    Lease `json:"lease"`
	Renewed  Lease `json:"renewed"`
	Relayed  int   `json:"relayed"`  // requests that the leaf's relay passed on until the lease
	Renewals int   `json:"renewals"` // and for the renewal
}

// DHCP4 has a host get an IPv4 address of pool from server, as the host sees it, use
// it to reach the server's machine, and renew it by unicast: by the relay iff it took
// server's place.
func (b *Bench) DHCP4(ctx context.Context, host string, pool netip.Prefix, server, reach netip.Addr, byRelay bool, options ...string) (r DHCPLease, err error) {
	h, err := b.hostNode(host)
	if err != nil {
		return r, err
	}
	leaf, vni := h.Host.Port.Node, b.vniOf(h.Host.Tenant)
	before, err := b.relay(ctx, leaf, vni)
	if err != nil {
		return r, err
	}
	c, err := b.startClient(ctx, host, options...)
	if err != nil {
		return r, err
	}
	defer c.stop()
	if r.Lease, err = c.leases(ctx, 1); err != nil {
		return r, fmt.Errorf("%s: %w", host, err)
	}
	if !pool.Contains(r.Lease.Address) || r.Lease.Server != server {
		return r, fmt.Errorf("%s got %+v, want an address of %v from %v", host, r.Lease, pool, server)
	}
	if _, err := b.Reached(ctx, host, reach); err != nil {
		return r, err
	}
	bound, err := b.relay(ctx, leaf, vni)
	if err != nil {
		return r, err
	}
	if r.Relayed = int(bound.Requests4 - before.Requests4); r.Relayed < 2 || bound.Replies4-before.Replies4 < 2 {
		return r, fmt.Errorf("%s relayed %+v after %+v, want DISCOVER and REQUEST with their answers", leaf, bound, before)
	}
	if err := c.kill(syscall.SIGUSR1); err != nil {
		return r, err
	}
	if r.Renewed, err = c.leases(ctx, 2); err != nil {
		return r, fmt.Errorf("%s: renewal: %w", host, err)
	}
	if r.Renewed.Address != r.Lease.Address {
		return r, fmt.Errorf("%s renewed %v and has %v", host, r.Lease.Address, r.Renewed.Address)
	}
	after, err := b.relay(ctx, leaf, vni)
	if err != nil {
		return r, err
	}
	if r.Renewals = int(after.Requests4 - bound.Requests4); (r.Renewals > 0) != byRelay {
		return r, fmt.Errorf("%s relayed %d messages of a renewal, by the relay: %v", leaf, r.Renewals, byRelay)
	}
	return r, nil
}

// iaaddrRE finds the address in a lease of dhclient.
var iaaddrRE = regexp.MustCompile(`iaaddr ([0-9a-f:]+)`)

// DHCP6 has a host get an IPv6 address of pool, and renew it.
func (b *Bench) DHCP6(ctx context.Context, host string, pool netip.Prefix) (l Lease, err error) {
	h, err := b.hostNode(host)
	if err != nil {
		return l, err
	}
	leaf, vni := h.Host.Port.Node, b.vniOf(h.Host.Tenant)
	dir, err := os.MkdirTemp("", "ztos-dhcp-")
	if err != nil {
		return l, err
	}
	defer os.RemoveAll(dir)
	before, err := b.relay(ctx, leaf, vni)
	if err != nil {
		return l, err
	}
	start := time.Now()
	// Its link-local address may be tentative for a second or two. The second time
	// the client has a lease and asks for the same again.
	for n := range 2 {
		err = eventually(ctx, dhcpMost, func() (err error) {
			l.Address, err = b.dhclient(ctx, host, dir, n+1)
			return err
		})
		if err != nil {
			return l, err
		}
	}
	l.Seconds = time.Since(start).Seconds()
	if !pool.Contains(l.Address) {
		return l, fmt.Errorf("%s got %v, want an address of %v", host, l.Address, pool)
	}
	after, err := b.relay(ctx, leaf, vni)
	if err == nil && (after.Requests6-before.Requests6 < 3 || after.Replies6-before.Replies6 < 3) {
		err = fmt.Errorf("%s relayed %+v after %+v, want SOLICIT, REQUEST and one more with their answers", leaf, after, before)
	}
	return l, err
}

// dhclient runs dhclient for IPv6 in a host, with its files in dir, until they have n
// leases, and returns the address of the last. Error: it ended before.
func (b *Bench) dhclient(ctx context.Context, host, dir string, n int) (a netip.Addr, err error) {
	file := filepath.Join(dir, "leases")
	ctx, cancel := context.WithTimeout(ctx, dhcpMost)
	defer cancel() // kills it
	cmd, err := b.Lab.Command(ctx, host, "dhclient", "-6", "-1", "-d", "-cf", "/dev/null", "-sf", "/bin/true", "-lf", file, "-pf", filepath.Join(dir, "pid"), "eth0")
	if err != nil {
		return a, err
	}
	var out lockedBuffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		return a, err
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		cmd.Wait() //nolint:errcheck // its leases tell
	}()
	defer func() {
		cancel()
		<-ended
	}()
	for {
		data, err := os.ReadFile(file)
		if err != nil && !os.IsNotExist(err) {
			return a, err
		}
		m := iaaddrRE.FindAllSubmatch(data, -1)
		if len(m) >= n {
			return netip.ParseAddr(string(m[len(m)-1][1]))
		}
		select {
		case <-ended:
			return a, fmt.Errorf("%s has %d leases, want %d: %s", host, len(m), n, tail(out.String(), 400))
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (b *Bench) vniOf(tenant string) table.VNI {
	for _, t := range b.Topo.Tenants {
		if t.Name == tenant {
			return t.VNI
		}
	}
	return 0
}

// relay returns what the relay of a leaf's VNI did, by `ztosctl show dhcp`.
func (b *Bench) relay(ctx context.Context, leaf string, vni table.VNI) (status.DHCPRelay, error) {
	var d status.DHCP
	if err := b.ctlJSON(ctx, leaf, &d, "show", "dhcp"); err != nil {
		return status.DHCPRelay{}, err
	}
	for _, v := range d.VRFs {
		for _, r := range v.Relays {
			if r.VNI == vni {
				// What no relay could be told for counts for the VRF; names tell them apart.
				for _, f := range v.Faults {
					r.Faults = append(r.Faults, status.NamedCount{Name: "stray-" + f.Name, Count: f.Count})
				}
				return r, nil
			}
		}
	}
	return status.DHCPRelay{}, fmt.Errorf("%s: no relay of VNI %d", leaf, vni)
}

// faultCount returns a count of r.
func faultCount(r status.DHCPRelay, name string) uint64 {
	for _, f := range r.Faults {
		if f.Name == name {
			return f.Count
		}
	}
	return 0
}

// DHCPForgery is a message that a relay must not pass on.
type DHCPForgery struct {
	Name  string
	From  string // host whose port it comes from
	Frame []byte
	Fault string // that the relay of Leaf and VNI counts it under
	Leaf  string
	VNI   table.VNI
}

// DHCPRefused sends forgeries, and wants each counted under its reason, and nothing
// of them to reach the host server or the host victim.
func (b *Bench) DHCPRefused(ctx context.Context, server, victim string, fs []DHCPForgery) (counted map[string]uint64, err error) {
	isDHCP := func(f frame) bool {
		d := f.data
		return !f.out && len(d) > 38 && d[12] == 8 && d[13] == 0 && d[23] == 17 && d[36] == 0 && (d[37] == 67 || d[37] == 68)
	}
	var taps []*tap
	for _, host := range []string{server, victim} {
		t, err := b.tap(host, isDHCP, "eth0")
		if err != nil {
			return nil, err
		}
		taps = append(taps, t)
	}
	counted = map[string]uint64{}
	for _, f := range fs {
		if err := b.refuse(ctx, f); err != nil {
			return counted, err
		}
		counted[f.Name]++
	}
	pause(ctx, 200*time.Millisecond)
	for i, t := range taps {
		seen, err := t.close()
		if err != nil {
			return counted, err
		}
		if len(seen) > 0 {
			return counted, fmt.Errorf("%s saw %d DHCP messages: %x", []string{server, victim}[i], len(seen), seen[0].data)
		}
	}
	return counted, nil
}

// refuse sends one forgery.
func (b *Bench) refuse(ctx context.Context, f DHCPForgery) error {
	before, err := b.relay(ctx, f.Leaf, f.VNI)
	if err != nil {
		return err
	}
	t, err := b.tap(f.From, func(frame) bool { return false }, "eth0")
	if err != nil {
		return err
	}
	defer t.close() //nolint:errcheck // only for sending
	if err := t.send("eth0", f.Frame); err != nil {
		return err
	}
	return eventually(ctx, 5*time.Second, func() error {
		after, err := b.relay(ctx, f.Leaf, f.VNI)
		if err != nil {
			return err
		}
		if faultCount(after, f.Fault) <= faultCount(before, f.Fault) {
			return fmt.Errorf("%s: %s did not count %q: %v", f.Name, f.Leaf, f.Fault, after.Faults)
		}
		if after.Requests4 != before.Requests4 || after.Replies4 != before.Replies4 {
			return fmt.Errorf("%s: %s relayed it", f.Name, f.Leaf)
		}
		return nil
	})
}

// DHCPFlood sends count copies of a frame from a host, and wants most of them
// dropped for the limit of its circuit.
func (b *Bench) DHCPFlood(ctx context.Context, f DHCPForgery, count int) (passed uint64, err error) {
	before, err := b.relay(ctx, f.Leaf, f.VNI)
	if err != nil {
		return 0, err
	}
	t, err := b.tap(f.From, func(frame) bool { return false }, "eth0")
	if err != nil {
		return 0, err
	}
	defer t.close() //nolint:errcheck // only for sending
	start := time.Now()
	for range count {
		if err := t.send("eth0", f.Frame); err != nil {
			return 0, err
		}
	}
	err = eventually(ctx, 10*time.Second, func() error {
		after, err := b.relay(ctx, f.Leaf, f.VNI)
		if err != nil {
			return err
		}
		limited := faultCount(after, "limited") - faultCount(before, "limited")
		passed = after.Requests4 - before.Requests4
		// What a circuit may send at once, and at its rate for as long as this took.
		may := uint64(40 + 20*(time.Since(start).Seconds()+1))
		if limited+may < uint64(count) || passed > may {
			return fmt.Errorf("%d of %d limited, %d passed; want %d to pass at most", limited, count, passed, may)
		}
		return nil
	})
	return passed, err
}

// DHCPLog returns what the DHCP server in a host logged.
func (b *Bench) DHCPLog(host string) (string, error) {
	data, err := os.ReadFile(b.Lab.LogPath(host, "dnsmasq"))
	return strings.TrimSpace(string(data)), err
}
