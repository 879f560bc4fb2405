package routes

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/ztos/ztos/lab/netplumb"
	"github.com/ztos/ztos/perf/usage"
)

// daemons is where Debian has FRR's.
const daemons = "/usr/lib/frr"

// bgpdConf is FRR as the same leaf. Its tenant VRF is the default one, as not
// every kernel has VRF devices.
var bgpdConf = fmt.Sprintf(`router bgp %[1]d
 bgp router-id %[2]v
 no bgp default ipv4-unicast
 neighbor %[3]v remote-as %[1]d
 neighbor %[3]v passive
 address-family l2vpn evpn
  neighbor %[3]v activate
  advertise-all-vni
 exit-address-family
exit
`, asn, leaf, speaker)

// frr is bgpd and zebra with the kernel's VXLAN.
type frr struct {
	*site
	dir   string
	procs []*exec.Cmd // zebra, bgpd
}

// startFRR runs FRR in a namespace of its own.
func startFRR(ctx context.Context) (_ *frr, err error) {
	f := &frr{}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.close())
		}
	}()
	if f.site, err = newSite("frr", false); err != nil {
		return nil, err
	}
	for _, s := range []string{
		"ip link add br200 type bridge",
		"ip link add vx200 type vxlan id 200 dstport 4789 local 192.0.2.1 nolearning",
		"ip link set vx200 master br200",
		"ip link add br1000 address 02:00:00:00:00:aa type bridge",
		"ip link add vx1000 type vxlan id 1000 dstport 4789 local 192.0.2.1 nolearning",
		"ip link set vx1000 master br1000 addrgenmode none",
		"ip link set br200 up", "ip link set vx200 up", "ip link set br1000 up", "ip link set vx1000 up",
		"sysctl -qw net.ipv4.ip_forward=1",
	} {
		if _, err := netplumb.Output(f.leaf, strings.Fields(s)...); err != nil {
			return nil, fmt.Errorf("routes: %w", err)
		}
	}
	// A short path: that of a unix socket has at most 107 bytes.
	if f.dir, err = os.MkdirTemp("", "ztos-routes-"); err != nil {
		return nil, fmt.Errorf("routes: %w", err)
	}
	for _, d := range []struct{ name, conf string }{{"zebra", "hostname frr\n"}, {"bgpd", bgpdConf}} {
		if err := f.start(ctx, d.name, d.conf); err != nil {
			return nil, err
		}
	}
	if out, err := f.vtysh(ctx, "zebra", "configure terminal", fmt.Sprint("vni ", l3VNI)); err != nil || out != "" {
		return nil, fmt.Errorf("routes: L3VNI in FRR: %v %s", err, out)
	}
	return f, nil
}

func (f *frr) where() *site { return f.site }

// own gives files to the user that FRR's daemons become.
func own(paths ...string) error {
	u, err := user.Lookup("frr")
	if err != nil {
		return fmt.Errorf("routes: FRR is not installed (scripts/install-deps.sh test): %w", err)
	}
	uid, err1 := strconv.Atoi(u.Uid)
	gid, err2 := strconv.Atoi(u.Gid)
	err = errors.Join(err1, err2)
	for _, p := range paths {
		err = errors.Join(err, os.Chown(p, uid, gid), os.Chmod(p, 0o755))
	}
	return err
}

// start starts a daemon and waits until it answers.
func (f *frr) start(ctx context.Context, name, conf string) error {
	file := filepath.Join(f.dir, name+".conf")
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		return fmt.Errorf("routes: %w", err)
	}
	if err := own(f.dir, file); err != nil {
		return err
	}
	cmd := exec.Command(filepath.Join(daemons, name), "-f", file, "-i", filepath.Join(f.dir, name+".pid"),
		"-z", filepath.Join(f.dir, "zserv.api"), "--vty_socket", f.dir, "-P", "0")
	log, err := os.Create(filepath.Join(f.dir, name+".out"))
	if err != nil {
		return fmt.Errorf("routes: %w", err)
	}
	defer log.Close() // the child has its own
	cmd.Stdout, cmd.Stderr = log, log
	if err := netplumb.Start(f.leaf, cmd); err != nil {
		return fmt.Errorf("routes: %s: %w", name, err)
	}
	f.procs = append(f.procs, cmd)
	return until(ctx, startLimit, func() error {
		_, err := f.vtysh(ctx, name, "show version")
		return err
	})
}

// startLimit is how long a system may take to start.
const startLimit = time.Minute

// vtysh runs commands in one daemon.
func (f *frr) vtysh(ctx context.Context, daemon string, command ...string) (string, error) {
	args := []string{"--vty_socket", f.dir, "-d", daemon}
	for _, c := range command {
		args = append(args, "-c", c)
	}
	out, err := exec.CommandContext(ctx, "vtysh", args...).CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("routes: vtysh: %w: %s", err, out)
	}
	return string(out), nil
}

// count asks zebra for its MACs, and when sure is set the kernel for its FDB,
// which takes longer. Prefixes are what the kernel's FIB has.
func (f *frr) count(ctx context.Context, k kind, sure bool) (int, error) {
	if k.name == prefixes.name {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/fib_triestat", f.procs[0].Process.Pid))
		if err != nil {
			return 0, fmt.Errorf("routes: %w", err)
		}
		return triePrefixes(string(text))
	}
	if sure {
		return f.kernelFDB(ctx)
	}
	text, err := f.vtysh(ctx, "zebra", fmt.Sprintf("show evpn vni %d json", l2VNI))
	if err != nil {
		return 0, err
	}
	var v struct {
		MACs *int `json:"numMacs"`
	}
	if err := json.Unmarshal([]byte(text), &v); err != nil || v.MACs == nil {
		return 0, fmt.Errorf("routes: FRR: no numMacs: %v: %s", err, text)
	}
	return *v.MACs, nil
}

// triePrefixes returns how many prefixes /proc/net/fib_triestat has, those of the
// table main, or of the one table that holds all.
func triePrefixes(text string) (n int, err error) {
	for line := range strings.Lines(text) {
		if f := strings.Fields(line); len(f) == 2 && f[0] == "Prefixes:" {
			v, err := strconv.Atoi(f[1])
			if err != nil {
				return 0, fmt.Errorf("routes: fib_triestat: %w", err)
			}
			n = max(n, v)
		}
	}
	if n == 0 {
		return 0, errors.New("routes: no prefixes in fib_triestat")
	}
	return n, nil
}

// kernelFDB counts the speaker's MACs in the FDB of the kernel's VXLAN device.
func (f *frr) kernelFDB(ctx context.Context) (int, error) {
	cmd := exec.CommandContext(ctx, "bridge", "fdb", "show", "dev", "vx200")
	out, err := cmd.StdoutPipe()
	if err != nil {
		return 0, fmt.Errorf("routes: %w", err)
	}
	if err := netplumb.Start(f.leaf, cmd); err != nil {
		return 0, fmt.Errorf("routes: bridge: %w", err)
	}
	n, err := countFDB(out, speaker)
	if err = errors.Join(err, cmd.Wait()); err != nil {
		return 0, fmt.Errorf("routes: bridge: %w", err)
	}
	return n, nil
}

// countFDB counts the MACs behind a VTEP in what `bridge fdb show` writes, without
// the entry that floods.
func countFDB(r io.Reader, vtep netip.Addr) (n int, err error) {
	s := bufio.NewScanner(r)
	for want := " dst " + vtep.String() + " "; s.Scan(); {
		if l := s.Text(); strings.Contains(l, want) && !strings.HasPrefix(l, "00:00:00:00:00:00 ") {
			n++
		}
	}
	return n, s.Err()
}

// memory adds bgpd and zebra. What the kernel keeps is not in it.
func (f *frr) memory() (sum uint64, err error) {
	for _, p := range f.procs {
		n, err := usage.RSS([]int{p.Process.Pid})
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return sum, nil
}

// close kills the daemons: they would take their routes out of the kernel one by
// one, which the namespace does at once.
func (f *frr) close() error {
	var errs []error
	for _, p := range f.procs {
		errs = append(errs, p.Process.Kill())
		_ = p.Wait() // it was killed
	}
	if f.site != nil {
		errs = append(errs, f.site.close())
	}
	if f.dir != "" {
		errs = append(errs, os.RemoveAll(f.dir))
	}
	return errors.Join(errs...)
}
