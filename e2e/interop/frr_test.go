//go:build interop

package interop_test

import (
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"
)

// frrDaemons is where Debian has FRR's daemons.
const frrDaemons = "/usr/lib/frr/"

// frrPrograms returns the paths of FRR's programs, for a guest.
func (b *bed) frrPrograms() (paths []string) {
	b.Helper()
	for _, name := range []string{frrDaemons + "zebra", frrDaemons + "bgpd", "vtysh"} {
		p, err := exec.LookPath(name)
		if err != nil {
			b.Fatalf("this test needs FRR (package frr): run scripts/install-deps.sh test: %v", err)
		}
		paths = append(paths, p)
	}
	return paths
}

// frr is an FRR in a guest.
type frr struct {
	*bed
	guest shell
}

// startFRR starts zebra and bgpd in a guest with their configurations, and returns
// when both answer.
func (b *bed) startFRR(guest shell, zebra, bgpd string) frr {
	b.Helper()
	r := frr{b, guest}
	b.Cleanup(func() {
		if b.Failed() {
			out, _ := guest.try("tail -n 20 /var/log/frr/*.out /var/log/frr/*.log") // for people; nothing depends on it
			b.Logf("FRR in the guest:\n%s\n%s", out, r.show("show bgp l2vpn evpn route detail"))
		}
	})
	// The user and the groups that Debian's package makes; no word for root.
	script := "echo 'frr:x:100:100::/:/bin/false' >> /etc/passwd\n" +
		"printf 'root:x:0:\\nfrr:x:100:\\nfrrvty:x:101:frr\\n' >> /etc/group\n" +
		"mkdir -p /etc/frr /var/run/frr /var/log/frr\n" +
		"echo 'username root nopassword' > /etc/frr/vtysh.conf\n"
	for _, d := range []struct{ name, conf string }{{"zebra", zebra}, {"bgpd", bgpd}} {
		script += fmt.Sprintf("cat > /etc/frr/%[1]s.conf <<'EOF'\nlog file /var/log/frr/%[1]s.log\n%[2]sEOF\n", d.name, d.conf)
	}
	script += "chown -R 100:100 /etc/frr /var/run/frr /var/log/frr\n"
	for _, name := range []string{"zebra", "bgpd"} {
		script += fmt.Sprintf("%[1]s -d -P 0 > /var/log/frr/%[1]s.out 2>&1\n", name)
	}
	guest.must(b, script)
	for _, name := range []string{"zebra", "bgpd"} {
		b.await(name+" in the guest", frrLimit, func() error {
			out, err := guest.try("vtysh -d " + name + " -c 'show version'")
			if !strings.Contains(out, "FRRouting") {
				return errors.Join(errors.New(out), err)
			}
			b.Logf("%s: %s", name, strings.SplitN(out, "\n", 2)[0])
			return nil
		})
	}
	return r
}

// frrLimit bounds what FRR in an emulated machine takes for anything: seconds on an
// idle machine, and CI may have other work.
const frrLimit = 60 * time.Second

// show runs a show command of bgpd.
func (r frr) show(command string) string {
	out, _ := r.guest.try("vtysh -d bgpd -c '" + command + "'") // the text says what the status says
	return out
}

// configure runs commands of bgpd in its configuration mode.
func (r frr) configure(commands ...string) {
	r.Helper()
	script := "vtysh -d bgpd -c 'configure terminal'"
	for _, c := range commands {
		script += " -c '" + c + "'"
	}
	if out := r.guest.must(r, script); out != "" {
		r.Fatalf("%s: %s", script, out)
	}
}

// evpn wants an EVPN route in FRR whose key holds key, with all texts.
func (r frr) evpn(key string, texts ...string) error {
	all := r.show("show bgp l2vpn evpn route detail")
	// One route for each RD may have the key.
	for route := range strings.SplitSeq(all, "BGP routing table entry for ") {
		name, rest, _ := strings.Cut(route, "\n")
		missing := !strings.Contains(name, key)
		for _, x := range texts {
			missing = missing || !strings.Contains(rest, x)
		}
		if !missing {
			return nil
		}
	}
	return fmt.Errorf("no route %s with %q", key, texts)
}
