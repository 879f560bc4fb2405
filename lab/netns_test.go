//go:build netns

package lab_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/curve25519"

	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/crypto/secret"
	"github.com/ztos/ztos/lab"
	"github.com/ztos/ztos/lab/netplumb"
)

// TestMain lets this program also be the engine of its labs ("run --config
// FILE"), and a program that is killed in the middle of Up ("crash").
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "run":
			os.Exit(fakeEngine(os.Args[3]))
		case "crash":
			os.Exit(crash(os.Args[2:]))
		}
	}
	os.Exit(m.Run())
}

// fakeEngine reads its configuration and its keys as an engine would, listens
// on the API socket and stays.
func fakeEngine(file string) int {
	c, err := config.Load(file)
	if err == nil {
		_, err = os.ReadFile(c.WireGuard.PrivateKeyFile)
	}
	if err == nil && os.Getenv("FAKE_ENGINE_FAILS") == c.Self.Name {
		err = errors.New("told to fail")
	}
	if err == nil {
		_, err = net.Listen("unix", c.API.Socket)
	}
	if err != nil {
		fmt.Println("fake engine:", err)
		return 1
	}
	time.Sleep(10 * time.Minute)
	return 0
}

// crash does an Up and kills itself before step args[2].
func crash(args []string) int {
	topo, err := lab.Load(args[0])
	if err != nil {
		fmt.Println(err)
		return 1
	}
	at, _ := strconv.Atoi(args[2])
	l, err := lab.New(topo, options(args[1], func(step, total int, _ string) {
		if step == at {
			syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	}))
	if err == nil {
		err = l.Up(context.Background())
	}
	fmt.Println("not killed:", err)
	return 1
}

// options returns those of every lab here.
func options(runDir string, progress func(int, int, string)) lab.Options {
	self, err := os.Executable()
	if err != nil {
		panic(err)
	}
	return lab.Options{RunDir: runDir, EngineBinary: self, Progress: progress}
}

// newLab returns the lab of a topology text, taken down at the end.
func newLab(t *testing.T, doc string) *lab.Lab {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("needs root: it makes network namespaces")
	}
	topo, err := lab.Parse([]byte(doc), "")
	if err != nil {
		t.Fatal(err)
	}
	l, err := lab.New(topo, options(t.TempDir(), nil))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Down(context.Background()); err != nil {
			t.Error(err)
		}
		wantNothing(t, l)
	})
	return l
}

// wantNothing fails when anything of the lab is left.
func wantNothing(t *testing.T, l *lab.Lab) {
	t.Helper()
	names, err := netplumb.Names()
	if err != nil {
		t.Error(err)
	}
	for _, n := range names {
		if strings.HasPrefix(n, l.Name()+"-") {
			t.Errorf("namespace %s is left", n)
		}
	}
	if _, err := os.Stat(l.Dir()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is left: %v", l.Dir(), err)
	}
	if pids := running(l); len(pids) > 0 {
		t.Errorf("processes %v are left", pids)
	}
	if s, err := l.Status(); err != nil || s.Phase != lab.PhaseAbsent {
		t.Errorf("status %+v, %v", s, err)
	}
}

// running returns the processes whose command line names the run directory.
func running(l *lab.Lab) (pids []string) {
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, f := range files {
		if b, err := os.ReadFile(f); err == nil && strings.Contains(string(b), l.Dir()+"/") && !strings.Contains(f, fmt.Sprintf("/%d/", os.Getpid())) {
			pids = append(pids, f+": "+string(b))
		}
	}
	return pids
}

// do runs a command in a node and returns its output.
func do(t *testing.T, l *lab.Lab, node string, argv ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	c, err := l.Command(ctx, node, argv...)
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.CombinedOutput()
	if err != nil {
		t.Errorf("%s: %q: %v\n%s", node, argv, err, out)
	}
	return string(out)
}

// routed is two hosts with a router between them, no engine; h2 is in a VLAN
// together with a VLAN interface of a Linux node.
var routed = fmt.Sprintf(`name: lt%d
nodes:
- {name: h1, kind: host, host: {port: "rt:p1", mtu: 1400, offloads: false, mac: "02:00:00:00:00:01", addresses: [192.0.2.1/25, "2001:db8:1::1/64"], gateways: [192.0.2.2, "2001:db8:1::2"]}}
- {name: h2, kind: linux, routes: [{to: 192.0.2.0/25, via: 192.0.2.130}, {to: "2001:db8:1::/64", via: "2001:db8:2::2"}], processes: [{name: nap, command: [sleep, "600"]}]}
- {name: rt, kind: linux, forward: true, setup: [[ip, addr, add, 192.0.2.2/25, dev, p1], [ip, addr, add, "2001:db8:1::2/64", dev, p1]]}
links:
- {mtu: 9000, ends: [{at: "rt:h2", addresses: [192.0.2.130/25, "2001:db8:2::2/64"]}, {at: "h2:rt", addresses: [192.0.2.129/25, "2001:db8:2::1/64"]}]}
`, os.Getpid()%100000)

func TestUpDown(t *testing.T) {
	l := newLab(t, routed)
	ctx := context.Background()
	if err := l.Up(ctx); err != nil {
		t.Fatal(err)
	}
	do(t, l, "h1", "ping", "-c1", "-W2", "192.0.2.129")
	do(t, l, "h1", "ping", "-c1", "-W2", "2001:db8:2::1")
	if out := do(t, l, "h1", "cat", "/sys/class/net/eth0/mtu", "/sys/class/net/eth0/address"); out != "1400\n02:00:00:00:00:01\n" {
		t.Errorf("eth0 of h1: %q", out)
	}
	for node, dev := range map[string]string{"h1": "eth0", "rt": "p1"} {
		ns, err := netplumb.Open(l.Namespace(node))
		if err != nil {
			t.Fatal(err)
		}
		if on, err := ns.TSO(dev); err != nil || on {
			t.Errorf("TSO of %s:%s: %v, %v", node, dev, on, err)
		}
		ns.Close()
	}
	// iproute2 sees the namespaces too.
	if out, err := exec.Command("ip", "netns", "exec", l.Namespace("h1"), "ping", "-c1", "-W2", "192.0.2.2").CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}

	if err := l.Up(ctx); err == nil || !strings.Contains(err.Error(), "is up already") {
		t.Errorf("second Up: %v", err)
	}
	s, err := l.Status()
	if err != nil || s.Phase != lab.PhaseUp || len(s.Nodes) != 3 || len(s.Nodes[1].Processes) != 1 {
		t.Fatalf("status %+v, %v", s, err)
	}
	nap := s.Nodes[1].Processes[0]
	if nap.State != "running" || nap.Name != "nap" {
		t.Errorf("process %+v", nap)
	}
	// A background child of an exec goes away with the lab.
	do(t, l, "h2", "sh", "-c", "sleep 601 >/dev/null 2>&1 &")
	for range 2 { // and Down is idempotent
		if err := l.Down(ctx); err != nil {
			t.Fatal(err)
		}
		wantNothing(t, l)
	}
	for _, secs := range []string{"600", "601"} {
		if out, err := exec.Command("pgrep", "-fx", "sleep "+secs).Output(); err == nil {
			t.Errorf("sleep %s is left: %s", secs, out)
		}
	}
	if _, err := l.Command(ctx, "h1", "true"); !errors.Is(err, lab.ErrNotUp) {
		t.Errorf("Command on a lab that is down: %v", err)
	}
	if err := l.StopProcess(ctx, "h2", "nap", syscall.SIGTERM); !errors.Is(err, lab.ErrNotUp) {
		t.Errorf("StopProcess on a lab that is down: %v", err)
	}
}

// tiny is two leaves whose engine is this program.
func tiny(name string) string {
	return fmt.Sprintf(`name: %s%d
tenants: [{name: red, vni: 100, cipher: gcm-aes-xpn-256}]
nodes:
- {name: leaf1, kind: leaf, address: 10.0.0.1}
- {name: leaf2, kind: leaf, address: 10.0.0.2}
- {name: h1, kind: host, host: {tenant: red, port: "leaf1:p1", vlan: 7, addresses: [10.9.0.1/24]}, processes: [{name: nap, command: [sleep, "600"]}]}
- {name: h2, kind: host, host: {tenant: red, port: "leaf2:p1", addresses: [10.9.0.2/24, "fd00::2/64"]}}
links:
- {mtu: 9000, ends: [{at: "leaf1:u1", addresses: [192.0.2.0/31, "2001:db8::1/64"]}, {at: "leaf2:u1", addresses: [192.0.2.1/31, "2001:db8::2/64"]}]}
`, name, os.Getpid()%100000)
}

func TestEngines(t *testing.T) {
	l := newLab(t, tiny("le"))
	ctx := context.Background()
	if err := l.Up(ctx); err != nil {
		t.Fatal(err)
	}
	do(t, l, "leaf1", "ping", "-c1", "-W2", "192.0.2.1")
	do(t, l, "leaf1", "ping", "-c1", "-W2", "2001:db8::2")
	if out := do(t, l, "leaf2", "ip", "link", "show", "p1"); !strings.Contains(out, "NOARP") {
		t.Errorf("the tenant port is not silent:\n%s", out)
	}
	c1, err := config.Load(l.ConfigPath("leaf1"))
	if err != nil {
		t.Fatal(err)
	}
	c2, err := config.Load(l.ConfigPath("leaf2"))
	if err != nil {
		t.Fatal(err)
	}
	wantKeys(t, l, c1, c2)

	// Stop, see it stopped, start again.
	if err := l.StopProcess(ctx, "leaf1", lab.EngineProcess, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if got := states(t, l); got != "leaf1/engine stopped, leaf2/engine running, h1/nap running" {
		t.Errorf("after stop: %s", got)
	}
	for range 2 { // the second finds it running
		if err := l.StartProcess(ctx, "leaf1", lab.EngineProcess); err != nil {
			t.Fatal(err)
		}
	}
	if got := states(t, l); got != "leaf1/engine running, leaf2/engine running, h1/nap running" {
		t.Errorf("after start: %s", got)
	}
	if err := l.StopProcess(ctx, "leaf1", "none", syscall.SIGTERM); err == nil {
		t.Error("StopProcess of an unknown one: no error")
	}
	// By name alone, as `lab down` does when the file has changed.
	byName, err := lab.Attach(l.Name(), lab.Options{RunDir: filepath.Dir(l.Dir())})
	if err != nil {
		t.Fatal(err)
	}
	if err := byName.Up(ctx); err == nil {
		t.Error("Up without a topology: no error")
	}
	if err := byName.Down(ctx); err != nil {
		t.Error(err)
	}
	wantNothing(t, l)
}

// wantKeys checks the key files of two leaves against each other.
func wantKeys(t *testing.T, l *lab.Lab, c1, c2 *config.Node) {
	t.Helper()
	read := func(path string) string {
		st, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if st.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v", path, st.Mode())
		}
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSuffix(string(b), "\n")
	}
	// The engine's own readers take the files as they are.
	for _, f := range []string{c1.WireGuard.PrivateKeyFile, c1.Peers[0].PresharedKeyFile} {
		if _, err := secret.LoadBase64(f); err != nil {
			t.Error(err)
		}
	}
	sa := c1.BridgeDomains[0].MACsec.Tx.SAs[0]
	if _, err := secret.LoadHex(sa.KeyFile, 32); err != nil {
		t.Error(err)
	}
	if _, err := secret.LoadHex(sa.SaltFile, 12); err != nil {
		t.Error(err)
	}
	private, err := base64.StdEncoding.DecodeString(read(c1.WireGuard.PrivateKeyFile))
	if err != nil {
		t.Fatal(err)
	}
	public, err := curve25519.X25519(private, curve25519.Basepoint)
	if err != nil {
		t.Fatal(err)
	}
	if c2.Peers[0].PublicKey != config.PublicKey(public) {
		t.Error("leaf2 has another public key for leaf1 than leaf1's private key gives")
	}
	if c1.Peers[0].PresharedKeyFile != c2.Peers[0].PresharedKeyFile || len(read(c1.Peers[0].PresharedKeyFile)) != 44 {
		t.Error("preshared keys differ")
	}
	tx, rx := c1.BridgeDomains[0].MACsec.Tx, c2.BridgeDomains[0].MACsec.Peers[0]
	if tx.SCI != rx.SCI || tx.SSCI != rx.SSCI || len(tx.SAs) != 2 || !slices.Equal(tx.SAs, rx.SAs) {
		t.Errorf("channels differ: %+v, %+v", tx, rx)
	}
	if len(read(tx.SAs[0].KeyFile)) != 64 || len(read(tx.SAs[0].SaltFile)) != 24 || read(tx.SAs[0].KeyFile) == read(tx.SAs[1].KeyFile) {
		t.Error("SAK or salt of the wrong length, or the same SAK twice")
	}
	if st, err := os.Stat(l.Dir()); err != nil || st.Mode().Perm() != 0o700 {
		t.Errorf("run directory: %v, %v", st.Mode(), err)
	}
}

// states returns the processes of a lab in one line.
func states(t *testing.T, l *lab.Lab) string {
	t.Helper()
	s, err := l.Status()
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, n := range s.Nodes {
		for _, p := range n.Processes {
			out = append(out, n.Name+"/"+p.Name+" "+p.State)
		}
	}
	return strings.Join(out, ", ")
}

// TestEngineFails: the error holds the end of the engine's log, and the half
// that was made is gone.
func TestEngineFails(t *testing.T) {
	l := newLab(t, tiny("lf"))
	t.Setenv("FAKE_ENGINE_FAILS", "leaf2")
	if err := l.Up(context.Background()); err == nil || !strings.Contains(err.Error(), "told to fail") {
		t.Errorf("Up: %v", err)
	}
	wantNothing(t, l)
}

// TestStandardFilesUp makes the standard labs (with the fake engine) and checks
// that neighbours reach each other on every link at its MTU.
func TestStandardFilesUp(t *testing.T) {
	for _, file := range []string{"standard.yaml", "standard-1500.yaml", "two-leaf.yaml"} {
		t.Run(file, func(t *testing.T) {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			// A name of its own: a lab of the standard name may be up.
			name := fmt.Sprintf("name: ls%d", os.Getpid()%100000)
			doc := strings.Replace(string(b), "name: "+strings.TrimSuffix(file, ".yaml"), name, 1)
			l := newLab(t, doc)
			topo, err := lab.Parse([]byte(doc), file)
			if err != nil {
				t.Fatal(err)
			}
			if err := l.Up(context.Background()); err != nil {
				t.Fatal(err)
			}
			for _, k := range topo.Links {
				for _, a := range k.Ends[1].Addresses {
					header := 28
					if a.Addr().Is6() {
						header = 48
					}
					do(t, l, k.Ends[0].At.Node, "ping", "-c1", "-W2", "-Mdo", "-s", strconv.Itoa(k.MTU-header), a.Addr().String())
				}
			}
			// A host stands alone: nothing but its own segment answers.
			for _, n := range topo.Nodes {
				if n.Host != nil {
					if out := do(t, l, n.Name, "ip", "-br", "-4", "addr", "show", "up"); !strings.Contains(out, "eth0") || strings.Count(out, "/") != 2 {
						t.Errorf("%s: %s", n.Name, out)
					}
				}
			}
		})
	}
}
