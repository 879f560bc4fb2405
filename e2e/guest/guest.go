package guest

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ztos/ztos/lab/netplumb"
)

// Config says what machine to boot.
type Config struct {
	// Memory in MiB. Default 256.
	Memory int
	// Virtual processors. Default 1: emulated ones cost real ones.
	CPUs int
	// Network namespace with the host's side of the NICs; it must exist.
	// Default: a new one, removed with the guest.
	Namespace string
	// The guest's NICs: eth0, eth1, ... in this order.
	NICs []NIC
	// Paths of further programs of this machine, put into the guest's
	// /usr/local/bin with their shared libraries.
	Programs []string
	// How long the guest may take to answer. Default 2 minutes; an idle
	// machine needs 3 to 8 s, and the very first boot makes the image.
	BootTimeout time.Duration
}

// NIC is a virtio-net card whose other end is a TAP device in the namespace.
type NIC struct {
	// Name of the TAP device. Default tap0, tap1, ... by place.
	Tap string
	// MAC in the guest. Default 52:54:00:00:00:NN, NN counting from 1.
	MAC net.HardwareAddr
	// MTU of both ends, bytes. Default 1500.
	MTU int
	// Addresses of the TAP device in the namespace; empty when an engine opens
	// the device or a bridge holds it.
	HostAddrs []netip.Prefix
	// Addresses of the interface in the guest.
	GuestAddrs []netip.Prefix
	// Leaves checksum and segmentation offloads out: every frame on the TAP
	// device is complete and at most MTU sized.
	NoOffloads bool
	// Name of a device in the namespace that the TAP device is bridged with,
	// through a bridge named br-TAP; for engines that take veth devices.
	Bridge string
}

// Guest is a running machine.
type Guest struct {
	namespace string
	release   string
	dir       string // console log, control socket
	ctl       *control
	ended     chan struct{} // closed when QEMU has ended
	cancel    context.CancelFunc
	owned     bool // the namespace is ours
	nics      []NIC
}

// serial numbers the guests of this program, for names.
var serial atomic.Int32

// Boot starts a guest for a test and returns it once it answers. The test's
// cleanup ends it; when the test failed, the end of the console log is in the
// test's log.
func Boot(t testing.TB, c Config) *Guest {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("guest: needs root: it makes network namespaces")
	}
	g, err := Start(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("console of the guest:\n%s", g.Console())
		}
		if err := g.Close(); err != nil {
			t.Error(err)
		}
	})
	return g
}

// Start boots a guest outside a test; the caller closes it. ctx bounds the boot
// alone. An error holds the end of the console log.
func Start(ctx context.Context, c Config) (g *Guest, err error) {
	img, err := prepare(ctx)
	if err != nil {
		return nil, err
	}
	qemu, err := exec.LookPath("qemu-system-x86_64")
	if err != nil {
		return nil, missing("qemu-system-x86_64", err)
	}
	g = &Guest{namespace: c.Namespace, nics: make([]NIC, len(c.NICs)), ended: make(chan struct{})}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("%w\nconsole:\n%s", err, g.Console()), g.Close())
			g = nil
		}
	}()
	sweep()
	name := fmt.Sprintf("guest-%d-%d", os.Getpid(), serial.Add(1))
	if g.dir, err = os.MkdirTemp("", name+"-"); err != nil {
		return g, fmt.Errorf("guest: %w", err)
	}
	if g.namespace == "" {
		g.namespace = name
		if err := netplumb.Create(g.namespace); err != nil {
			return g, err
		}
		g.owned = true
	}
	for i, n := range c.NICs {
		g.nics[i] = n.complete(i)
	}
	if err := g.wire(); err != nil {
		return g, err
	}
	if img, err = g.bring(ctx, img, c.Programs); err != nil {
		return g, err
	}
	if err := g.launch(qemu, img, c); err != nil {
		return g, err
	}
	timeout := c.BootTimeout
	if timeout == 0 {
		timeout = 2 * time.Minute
	}
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("no answer within %v", timeout))
	defer cancel()
	select {
	case g.release = <-g.ctl.ready:
	case <-g.ended:
		return g, errors.New("guest: QEMU ended while booting")
	case <-ctx.Done():
		return g, fmt.Errorf("guest: booting: %w", context.Cause(ctx))
	}
	return g, g.configure(ctx)
}

// ownRE matches the names of namespaces and temporary folders of guests, with
// the number of the process that made them.
var ownRE = regexp.MustCompile(`^guest-(\d+)-\d+(-\d+)?$`)

// sweep removes what test programs left that were killed. Their QEMUs are gone:
// a guest switches itself off when nobody holds its control port.
func sweep() {
	dead := func(name string) bool {
		m := ownRE.FindStringSubmatch(name)
		if m == nil {
			return false
		}
		pid, err := strconv.Atoi(m[1])
		return err == nil && unix.Kill(pid, 0) == unix.ESRCH
	}
	// Failures are left for the next sweep.
	names, _ := netplumb.Names()
	for _, n := range names {
		if dead(n) {
			_ = netplumb.Delete(n)
		}
	}
	dirs, _ := filepath.Glob(filepath.Join(os.TempDir(), "guest-*"))
	for _, d := range dirs {
		if dead(filepath.Base(d)) {
			_ = os.RemoveAll(d)
		}
	}
}

// complete fills in the defaults of the i-th NIC.
func (n NIC) complete(i int) NIC {
	if n.Tap == "" {
		n.Tap = fmt.Sprintf("tap%d", i)
	}
	if n.MAC == nil {
		n.MAC = net.HardwareAddr{0x52, 0x54, 0, 0, 0, byte(i + 1)}
	}
	if n.MTU == 0 {
		n.MTU = 1500
	}
	return n
}

// wire makes the TAP devices.
func (g *Guest) wire() error {
	ns, err := netplumb.Open(g.namespace)
	if err != nil {
		return err
	}
	defer ns.Close()
	for _, n := range g.nics {
		if err := ns.AddTap(n.Tap, n.MTU); err != nil {
			return err
		}
		if n.Bridge != "" {
			br := "br-" + n.Tap
			if err := ns.AddBridge(br, n.MTU, n.Tap, n.Bridge); err != nil {
				return err
			}
			if err := ns.SetUp(br, true); err != nil {
				return err
			}
		}
		if err := ns.SetUp(n.Tap, true); err != nil {
			return err
		}
		for _, a := range n.HostAddrs {
			if err := ns.AddAddr(n.Tap, a); err != nil {
				return err
			}
		}
	}
	return nil
}

// bring adds programs to the image: the kernel unpacks archives that follow
// each other in one file.
func (g *Guest) bring(ctx context.Context, img image, programs []string) (image, error) {
	if len(programs) == 0 {
		return img, nil
	}
	var a archive
	for _, p := range programs {
		if err := addProgram(ctx, &a, p); err != nil {
			return img, err
		}
	}
	base, err := os.ReadFile(img.initrd)
	if err != nil {
		return img, fmt.Errorf("guest: %w", err)
	}
	b := bytes.NewBuffer(base)
	b.Write(make([]byte, -len(base)&3)) // archives begin at multiples of 4
	if err := a.writeTo(b); err != nil {
		return img, err
	}
	img.initrd = filepath.Join(g.dir, "initrd")
	if err := os.WriteFile(img.initrd, b.Bytes(), 0o600); err != nil {
		return img, fmt.Errorf("guest: %w", err)
	}
	return img, nil
}

// launch starts QEMU and connects the control port.
func (g *Guest) launch(qemu string, img image, c Config) error {
	if c.Memory == 0 {
		c.Memory = 256
	}
	if c.CPUs == 0 {
		c.CPUs = 1
	}
	socket := filepath.Join(g.dir, "control")
	args := []string{
		"-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
		"-machine", "q35", "-accel", "tcg,thread=multi", "-cpu", "max",
		"-m", fmt.Sprint(c.Memory), "-smp", fmt.Sprint(c.CPUs),
		"-kernel", img.kernel, "-initrd", img.initrd,
		// mitigations cost much and protect nothing here.
		"-append", "console=ttyS0 quiet loglevel=4 panic=-1 oops=panic random.trust_cpu=on mitigations=off nokaslr net.ifnames=0",
		"-serial", "file:" + g.consolePath(),
		"-device", "virtio-serial-pci",
		"-chardev", "socket,id=ctl,server=on,wait=off,path=" + socket,
		"-device", "virtserialport,chardev=ctl,nr=1",
	}
	for i, n := range g.nics {
		offloads := ""
		if n.NoOffloads {
			offloads = ",csum=off,gso=off,guest_csum=off"
		}
		args = append(args,
			"-netdev", fmt.Sprintf("tap,id=n%d,ifname=%s,script=no,downscript=no", i, n.Tap),
			"-device", fmt.Sprintf("virtio-net-pci,netdev=n%d,mac=%s,romfile=%s", i, n.MAC, offloads))
	}
	ctx, cancel := context.WithCancel(context.Background())
	g.cancel = cancel
	cmd := exec.CommandContext(ctx, qemu, args...)
	console, err := os.OpenFile(g.consolePath(), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("guest: %w", err)
	}
	defer console.Close()
	cmd.Stdout, cmd.Stderr = console, console
	if err := netplumb.Start(g.namespace, cmd); err != nil {
		return err
	}
	go func() {
		_ = cmd.Wait() // it is killed in the end; its output is in the console log
		close(g.ended)
	}()
	for {
		conn, err := net.Dial("unix", socket)
		if err == nil {
			g.ctl = newControl(conn)
			return nil
		}
		select {
		case <-g.ended:
			return errors.New("guest: QEMU did not start")
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// configure brings the guest's interfaces up.
func (g *Guest) configure(ctx context.Context) error {
	var b strings.Builder
	b.WriteString("set -e\n")
	for i, n := range g.nics {
		fmt.Fprintf(&b, "ip link set eth%d mtu %d up\n", i, n.MTU)
		for _, a := range n.GuestAddrs {
			fmt.Fprintf(&b, "ip addr add %s dev eth%d\n", a, i)
		}
	}
	_, err := g.ctl.run(ctx, b.String())
	return err
}

// Namespace returns the network namespace with the host's side of the NICs.
func (g *Guest) Namespace() string { return g.namespace }

// Kernel returns the release of the guest's kernel.
func (g *Guest) Kernel() string { return g.release }

// Tap returns the name of the TAP device behind eth<i> of the guest.
func (g *Guest) Tap(i int) string { return g.nics[i].Tap }

// runTimeout bounds Run.
const runTimeout = time.Minute

// Run runs shell commands in the guest (dash, with busybox's tools) and returns what they wrote
// to both standard streams. Error: *ExitError when the exit status is not 0. A
// command that takes longer than a minute is given up on, but not ended; use
// RunContext or put it in the background.
func (g *Guest) Run(command string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), runTimeout)
	defer cancel()
	return g.RunContext(ctx, command)
}

// RunContext is Run, given up on when ctx ends.
func (g *Guest) RunContext(ctx context.Context, command string) (string, error) {
	return g.ctl.run(ctx, command)
}

// MustRun is Run for a test that cannot go on when it fails.
func (g *Guest) MustRun(t testing.TB, command string) string {
	t.Helper()
	out, err := g.Run(command)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// WriteFile writes a file in the guest, mode 0600; for keys, which then do not
// show in a command line.
func (g *Guest) WriteFile(path string, data []byte) error {
	ctx, cancel := context.WithTimeout(context.Background(), runTimeout)
	defer cancel()
	_, err := g.ctl.run(ctx, fmt.Sprintf("umask 077; base64 -d > '%s' <<'EOF'\n%s\nEOF", strings.ReplaceAll(path, "'", `'\''`), base64.StdEncoding.EncodeToString(data)))
	var exit *ExitError
	if errors.As(err, &exit) { // without the contents
		return fmt.Errorf("guest: write %s: exit status %d: %s", path, exit.Status, exit.Output)
	}
	return err
}

// consolePath is the file with the kernel's and QEMU's output.
func (g *Guest) consolePath() string { return filepath.Join(g.dir, "console") }

// Console returns the end of the console log.
func (g *Guest) Console() string {
	b, err := os.ReadFile(g.consolePath())
	if err != nil {
		return ""
	}
	return string(b[max(0, len(b)-8000):])
}

// Close ends the guest at once and removes its files, its devices and a
// namespace made for it.
func (g *Guest) Close() error {
	if g.cancel != nil {
		g.cancel()
		<-g.ended
	}
	if g.ctl != nil {
		g.ctl.conn.Close()
		<-g.ctl.gone
	}
	var errs []error
	if g.owned {
		errs = append(errs, netplumb.Delete(g.namespace))
	} else if ns, err := netplumb.Open(g.namespace); err == nil {
		for _, n := range g.nics {
			if n.Tap == "" {
				continue
			}
			if n.Bridge != "" {
				errs = append(errs, ns.DeleteLink("br-"+n.Tap))
			}
			errs = append(errs, ns.DeleteLink(n.Tap))
		}
		errs = append(errs, ns.Close())
	}
	if g.dir != "" {
		errs = append(errs, os.RemoveAll(g.dir))
	}
	return errors.Join(errs...)
}
