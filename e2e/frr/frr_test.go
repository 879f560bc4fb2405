//go:build netns

package frr_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ztos/ztos/engine/port/nstest"
)

// limit bounds every wait, for a loaded machine.
const limit = 60 * time.Second

// daemons is where Debian has FRR's daemons.
const daemons = "/usr/lib/frr"

// router is an FRR in a namespace.
type router struct {
	*nstest.NS
	t     testing.TB
	dir   string
	procs map[string]*exec.Cmd
}

// newRouter starts FRR with a configuration for bgpd.
func newRouter(t testing.TB, ns *nstest.NS, conf string) *router {
	t.Helper()
	r := newZebra(t, ns)
	r.start("bgpd", conf)
	return r
}

// newZebra starts FRR without any protocol.
func newZebra(t testing.TB, ns *nstest.NS) *router {
	t.Helper()
	if _, err := os.Stat(filepath.Join(daemons, "bgpd")); err != nil {
		t.Fatalf("these tests need FRR (package frr): run scripts/install-deps.sh test: %v", err)
	}
	// A short path: that of a unix socket has at most 107 bytes.
	dir, err := os.MkdirTemp("", "ztos-frr-")
	if err != nil {
		t.Fatal(err)
	}
	own(t, dir)
	r := &router{NS: ns, t: t, dir: dir, procs: make(map[string]*exec.Cmd)}
	t.Cleanup(func() {
		for name := range r.procs {
			r.kill(name, syscall.SIGKILL)
		}
		if t.Failed() {
			for _, name := range []string{"zebra", "bgpd", "bfdd"} {
				log, _ := os.ReadFile(filepath.Join(dir, name+".log"))
				out, _ := os.ReadFile(filepath.Join(dir, name+".out"))
				t.Logf("%s:\n%s\n%s", name, out, log[max(0, len(log)-3000):])
			}
		}
		os.RemoveAll(dir)
	})
	r.start("zebra", "hostname frr\n")
	return r
}

// own gives a file to the user that FRR's daemons become.
func own(t testing.TB, path string) {
	t.Helper()
	u, err := user.Lookup("frr")
	if err != nil {
		t.Fatalf("these tests need FRR (package frr): run scripts/install-deps.sh test: %v", err)
	}
	uid, _ := strconv.Atoi(u.Uid) // of /etc/passwd: a number
	gid, _ := strconv.Atoi(u.Gid)
	if err := errors.Join(os.Chown(path, uid, gid), os.Chmod(path, 0o755)); err != nil {
		t.Fatal(err)
	}
}

// start starts a daemon and waits until it answers.
func (r *router) start(name, conf string, more ...string) {
	r.t.Helper()
	file := filepath.Join(r.dir, name+".conf")
	conf += fmt.Sprintf("log file %s debugging\n", filepath.Join(r.dir, name+".log"))
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		r.t.Fatal(err)
	}
	own(r.t, file)
	args := []string{
		"-f", file, "-i", filepath.Join(r.dir, name+".pid"),
		"-z", filepath.Join(r.dir, "zserv.api"), "--vty_socket", r.dir, "-P", "0",
	}
	cmd := exec.Command(filepath.Join(daemons, name), append(args, more...)...)
	out, err := os.Create(filepath.Join(r.dir, name+".out"))
	if err != nil {
		r.t.Fatal(err)
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	r.Do(func() { err = cmd.Start() })
	if err != nil {
		r.t.Fatal(err)
	}
	r.procs[name] = cmd
	r.until(name+" answers", func() bool {
		text, err := r.vtysh(name, "show version")
		return err == nil && strings.Contains(text, "FRRouting")
	})
}

// kill ends a daemon.
func (r *router) kill(name string, sig syscall.Signal) {
	cmd := r.procs[name]
	delete(r.procs, name)
	_ = cmd.Process.Signal(sig)
	_ = cmd.Wait() // it was told to die
}

// vtysh runs a command in one daemon.
func (r *router) vtysh(daemon string, command ...string) (string, error) {
	args := []string{"--vty_socket", r.dir, "-d", daemon}
	for _, c := range command {
		args = append(args, "-c", c)
	}
	out, err := exec.Command("vtysh", args...).CombinedOutput()
	return string(out), err
}

// bgp runs a show command of bgpd.
func (r *router) bgp(command string) string {
	out, err := r.vtysh("bgpd", command)
	if err != nil {
		return err.Error() + out
	}
	return out
}

// until waits for a condition.
func (r *router) until(what string, ok func() bool) {
	r.t.Helper()
	wait(r.t, what, ok)
}

func wait(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(limit); !ok(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%v passed and not: %s", limit, what)
		}
	}
}

// established waits for FRR's session with a neighbour.
func (r *router) established(peer netip.Addr) {
	r.t.Helper()
	r.until(fmt.Sprintf("session with %v", peer), func() bool { return r.neighbor(peer).State == "Established" })
}

// neighbor is what FRR says of one.
type neighbor struct {
	State string `json:"bgpState"`
	GR    struct {
		Local  string `json:"localGrMode"`
		Remote string `json:"remoteGrMode"`
	} `json:"gracefulRestartInfo"`
}

func (r *router) neighbor(peer netip.Addr) neighbor {
	var all map[string]neighbor
	if err := json.Unmarshal([]byte(r.bgp("show bgp neighbors "+peer.String()+" json")), &all); err != nil {
		return neighbor{}
	}
	return all[peer.String()]
}

// routes returns FRR's EVPN routes as text.
func (r *router) routes() string { return r.bgp("show bgp l2vpn evpn route detail") }

// has waits until every text is, or is no longer, in FRR's EVPN routes.
func (r *router) has(want bool, texts ...string) {
	r.t.Helper()
	for _, text := range texts {
		end := time.Now().Add(limit)
		for strings.Contains(r.routes(), text) != want {
			if time.Now().After(end) {
				r.t.Fatalf("%q in FRR's routes: %v, want %v:\n%s", text, !want, want, r.routes())
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
}
