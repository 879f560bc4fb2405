package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/ztos/ztos/api/nodetest"
	"github.com/ztos/ztos/api/server"
	"github.com/ztos/ztos/engine/counter"
	"github.com/ztos/ztos/engine/trace"
)

var update = flag.Bool("update", false, "rewrite testdata/*.golden")

func TestMain(m *testing.M) {
	flag.Parse()
	time.Local = time.UTC
	for _, v := range []string{"ZTOS_SOCKET"} {
		if err := os.Unsetenv(v); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}

// serve starts n on a socket and returns its path.
func serve(t *testing.T, n *nodetest.Node) string {
	t.Helper()
	s, err := server.Listen(filepath.Join(t.TempDir(), "engine.sock"), n)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s.Path()
}

// ztosctl runs a command line.
func ztosctl(t *testing.T, stdin string, args ...string) (code int, out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	code = run(args, strings.NewReader(stdin), &o, &e)
	return code, o.String(), e.String()
}

// golden compares got with a file of testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", strings.ReplaceAll(name, " ", "-")+".golden")
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s: got:\n%s\nwant:\n%s", file, got, want)
	}
}

// TestHelp runs --help of every command: each has a short word, an example that
// begins with its own path, and no error.
func TestHelp(t *testing.T) {
	var walk func(c *cobra.Command)
	commands := 0
	walk = func(c *cobra.Command) {
		if c.Hidden {
			return
		}
		commands++
		path := strings.Fields(c.CommandPath())
		code, out, errs := ztosctl(t, "", append(path[1:], "--help")...)
		if code != exitOK || errs != "" {
			t.Errorf("%s --help: exit %d, %s", c.CommandPath(), code, errs)
		}
		if c.Short == "" || !strings.Contains(out, "Examples:\n") {
			t.Errorf("%s: no summary or no example:\n%s", c.CommandPath(), out)
		}
		if c.Name() != "completion" && !strings.Contains(c.Example, "  "+c.CommandPath()) {
			t.Errorf("%s: its example is of another command:\n%s", c.CommandPath(), c.Example)
		}
		for _, s := range c.Commands() {
			walk(s)
		}
	}
	walk((&app{}).root())
	if commands < 29 {
		t.Errorf("walked only %d commands", commands)
	}
	if _, out, _ := ztosctl(t, "", "--help"); !strings.Contains(out, "3  no engine answers") {
		t.Error("the exit codes are not documented")
	}
}

// TestShow compares what each show command prints, as a table and as JSON.
func TestShow(t *testing.T) {
	socket := serve(t, nodetest.New())
	for _, cmd := range []string{
		"show status", "show ports", "show fdb", "show fdb --vni 10200", "show fdb --mac 02:00:00:00:00:09",
		"show peers", "show macsec", "show counters", "show drops", "show drops --workers", "show mtu",
		"show vrf", "show routes", "show routes --address 10.1.1.11", "show arp", "show arp --vni 10101", "show nd --vrf red",
		"explain mac 02:00:00:00:00:01", "explain ip 10.1.0.2 --vni 10100", "explain ip 10.9.0.12", "show dhcp", "show bfd", "show bgp", "show evpn", "show segments", "show mobility", "show duplicates",
	} {
		for _, format := range []string{"table", "json"} {
			name := strings.ReplaceAll(strings.ReplaceAll(cmd, "--", ""), ":", "") + "." + format
			code, out, errs := ztosctl(t, "", append(strings.Fields(cmd), "--socket", socket, "-o", format)...)
			if code != exitOK || errs != "" {
				t.Errorf("%s: exit %d, %s", name, code, errs)
			}
			if format == "json" && !json.Valid([]byte(out)) {
				t.Errorf("%s: not JSON: %s", name, out)
			}
			golden(t, name, out)
		}
	}
	if _, out, _ := ztosctl(t, "", "show", "drops", "--all", "--socket", socket); strings.Count(out, "\n") != counter.NumReasons {
		t.Errorf("show drops --all has %d lines, want a header and each reason", strings.Count(out, "\n"))
	}
	t.Setenv("ZTOS_SOCKET", socket)
	if code, out, _ := ztosctl(t, "", "show", "status"); code != exitOK || !strings.Contains(out, "leaf1") {
		t.Errorf("$ZTOS_SOCKET: exit %d, %s", code, out)
	}
}

// TestExitCodes: each code, and one clear line on stderr.
func TestExitCodes(t *testing.T) {
	socket := serve(t, nodetest.New())
	bad := filepath.Join(t.TempDir(), "bad.yaml")
	if err := os.WriteFile(bad, []byte("node:\n  name: a\n  color: red\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	none := filepath.Join(t.TempDir(), "none.sock")
	for _, tt := range []struct {
		args string
		code int
		errs string
	}{
		{"show ports --socket " + none, exitUnreachable, "ztosctl: cannot reach the engine on " + none + ": no such file or directory\n"},
		{"show ports --bogus", exitUsage, "ztosctl: unknown flag: --bogus; see 'ztosctl show ports --help'\n"},
		{"show nothing", exitUsage, `ztosctl: unknown command "nothing" for "ztosctl show"; see 'ztosctl show --help'` + "\n"},
		{"show", exitUsage, "ztosctl: ztosctl show: say what: arp, bfd, bgp, counters, dhcp, drops, duplicates, evpn, fdb, macsec, mobility, mtu, nd, peers, ports, routes, segments, status, vrf; see 'ztosctl show --help'\n"},
		{"nothing", exitUsage, `ztosctl: unknown command "nothing" for "ztosctl"; see 'ztosctl --help'` + "\n"},
		{"show ports -o xml", exitUsage, `ztosctl: --output "xml": want table or json; see 'ztosctl show ports --help'` + "\n"},
		{"show fdb --mac zz", exitUsage, `ztosctl: --mac "zz" is not a MAC address: want six octets, as "02:00:00:00:00:01"; see 'ztosctl show fdb --help'` + "\n"},
		{"show fdb --vni 16777216", exitUsage, "ztosctl: --vni 16777216: want 1 to 16777215; see 'ztosctl show fdb --help'\n"},
		{"show macsec --vni 10200", exitFailure, "ztosctl: MACsec on VNI 10200: not found\n"},
		{"apply", exitUsage, "ztosctl: accepts 1 arg(s), received 0; see 'ztosctl apply --help'\n"},
		{"apply /none.yaml", exitFailure, "ztosctl: open /none.yaml: no such file or directory\n"},
		{"apply " + bad, exitRefused, `ztosctl: ` + bad + `:3: node.color: unknown key "color"; known here: name, roles, address, address6, state-dir
ztosctl: ` + bad + `:2: node.roles: no role; say [leaf], [spine] or [leaf, spine]
ztosctl: ` + bad + `:2: node.address: no address; give an IPv4 or IPv6 address` + "\n"},
		{"macsec use --vni 10100 --an 3", exitFailure, "ztosctl: VNI 10100 has no transmit SA 3: not found\n"},
		{"macsec use --vni 10100", exitUsage, "ztosctl: --an is required, 0 to 3; see 'ztosctl macsec use --help'\n"},
		{"macsec remove tx --vni 10100 --an 0", exitFailure, "ztosctl: VNI 10100 transmits with AN 0: not in a state for it\n"},
		{"macsec install rx --vni 10100 --an 1 --key-file /k", exitUsage, "ztosctl: --vni is required, and --sci with rx; see 'ztosctl macsec install --help'\n"},
		{"macsec install xx --vni 10100 --an 1 --key-file /k", exitUsage, `ztosctl: "xx": want tx or rx; see 'ztosctl macsec install --help'` + "\n"},
		{"macsec rollover --vni 10100", exitUsage, "ztosctl: --vni, --key-file and --receiver are required; see 'ztosctl macsec rollover --help'\n"},
		{"fdb flush", exitUsage, "ztosctl: say which: --vni, --mac, --port, or --all alone; see 'ztosctl fdb flush --help'\n"},
		{"fdb flush --all --vni 5", exitUsage, "ztosctl: say which: --vni, --mac, --port, or --all alone; see 'ztosctl fdb flush --help'\n"},
		{"evpn", exitUsage, "ztosctl: ztosctl evpn: say what: release; see 'ztosctl evpn --help'\n"},
		{"evpn release 0 02:00:00:00:00:01", exitUsage, "ztosctl: VNI \"0\": want 1 to 16777215; see 'ztosctl evpn release --help'\n"},
		{"explain mac 02:00:00:00:00:99", exitFailure, "ztosctl: 02:00:00:00:00:99 is nowhere: no host here has it, and nobody announces it\n"},
		{"explain ip 10.1.0.99", exitFailure, "ztosctl: 10.1.0.99 is nowhere: no host here has it, and nobody announces it\n"},
		{"explain mac ff:ff:ff:ff:ff:ff", exitUsage, "ztosctl: \"ff:ff:ff:ff:ff:ff\": want a unicast MAC of six octets, as 02:00:00:00:00:01; see 'ztosctl explain mac --help'\n"},
		{"explain ip 10.1.0", exitUsage, "ztosctl: \"10.1.0\": want an IP address without a zone, as 10.1.0.2; see 'ztosctl explain ip --help'\n"},
		{"evpn release 10100 10.1.0.77", exitFailure, "ztosctl: VNI 10100, address 10.1.0.77 in quarantine: not found\n"},
		{"evpn release 10100 zz", exitUsage, "ztosctl: \"zz\": want an IP address, or a MAC of six octets, as 02:00:00:00:00:01; see 'ztosctl evpn release --help'\n"},
		{"evpn release 10100 01:00:5e:00:00:01", exitRefused, "ztosctl: mac: 01:00:5e:00:00:01 is a group address\n"},
		{"evpn release 10100 02:00:00:00:00:99", exitFailure, "ztosctl: VNI 10100, MAC 02:00:00:00:00:99 in quarantine: not found\n"},
		{"capture", exitUsage, "ztosctl: --stage is missing: one of " + strings.Join(trace.StageNames(), ", ") + "; see 'ztosctl capture --help'\n"},
		{"trace --stage x", exitUsage, "ztosctl: --stage \"x\": want one of " + strings.Join(trace.StageNames(), ", ") + "; see 'ztosctl trace --help'\n"},
		{"trace --count 0", exitRefused, "ztosctl: count: 0 is not 1 to 10000\n"},
		{"profile --kind cpu,x", exitUsage, "ztosctl: --kind \"x\": want one of cpu, heap, block, mutex, goroutine, trace; see 'ztosctl profile --help'\n"},
		{"profile --kind cpu,cpu", exitUsage, "ztosctl: --kind: cpu is there twice; see 'ztosctl profile --help'\n"},
		{"profile --seconds 61", exitUsage, "ztosctl: --seconds 61: want 1 to 60; see 'ztosctl profile --help'\n"},
		{"profile --socket " + none, exitUnreachable, "ztosctl: cannot reach the engine on " + none + ": no such file or directory\n"},
		{"lab up /none.yaml", exitFailure, "ztosctl: lab: stat /none.yaml: no such file or directory\n"},
		{"lab exec x", exitUsage, "ztosctl: requires at least 3 arg(s), only received 1; see 'ztosctl lab exec --help'\n"},
	} {
		code, out, errs := ztosctl(t, "", append([]string{"--socket", socket}, strings.Fields(tt.args)...)...)
		if code != tt.code || errs != tt.errs || out != "" {
			t.Errorf("%s: exit %d, want %d\ngot:  %s%s\nwant: %s", tt.args, code, tt.code, out, errs, tt.errs)
		}
	}
}

func TestApply(t *testing.T) {
	socket := serve(t, nodetest.New())
	good := "node: {name: b, roles: [leaf], address: 10.0.0.1}\n"
	file := filepath.Join(t.TempDir(), "good.yaml")
	if err := os.WriteFile(file, []byte(good), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ args, stdin, want string }{
		{"apply --dry-run " + file, "", "valid; generation 1 stays in force\n"},
		{"apply " + file, "", "applied as generation 2\n"},
		{"apply -", good, "applied as generation 3\n"},
		{"apply - -o json", good, "{\n  \"done\": \"applied as generation 4\",\n  \"generation\": 4\n}\n"},
	} {
		code, out, errs := ztosctl(t, tt.stdin, append(strings.Fields(tt.args), "--socket", socket)...)
		if code != exitOK || out != tt.want {
			t.Errorf("%s: exit %d, %s%s", tt.args, code, out, errs)
		}
	}
}

func TestReload(t *testing.T) {
	n := nodetest.New()
	socket := serve(t, n)
	file := filepath.Join(t.TempDir(), "e.yaml")
	n.SetFile(file)
	if code, _, _ := ztosctl(t, "", "reload", "--socket", socket); code != exitFailure {
		t.Errorf("no file: exit %d", code)
	}
	if err := os.WriteFile(file, []byte("x: 1"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, errs := ztosctl(t, "", "reload", "--socket", socket); code != exitRefused {
		t.Errorf("bad file: exit %d, %s", code, errs)
	}
}

func TestFlush(t *testing.T) {
	socket := serve(t, nodetest.New())
	code, out, _ := ztosctl(t, "", "fdb", "flush", "--vni", "10100", "--socket", socket)
	if code != exitOK || out != "forgot 3 MAC addresses\n" {
		t.Errorf("exit %d, %s", code, out)
	}
	code, out, _ = ztosctl(t, "", "fdb", "flush", "--all", "--socket", socket, "-o", "json")
	if code != exitOK || !strings.Contains(out, `"flushed": 0`) {
		t.Errorf("exit %d, %s", code, out)
	}
}

func TestVersion(t *testing.T) {
	code, out, _ := ztosctl(t, "", "version", "--socket", serve(t, nodetest.New()))
	if code != exitOK || !strings.Contains(out, "ztos-engine  1.2.3-test") {
		t.Errorf("exit %d, %s", code, out)
	}
	code, out, errs := ztosctl(t, "", "version", "--socket", "/none.sock", "-o", "json")
	if code != exitOK || !strings.Contains(out, `"engine": ""`) || !strings.Contains(errs, "no such file") {
		t.Errorf("without an engine: exit %d, %s%s", code, out, errs)
	}
}

func TestCompletion(t *testing.T) {
	for _, sh := range []string{"bash", "zsh", "fish"} {
		if code, out, _ := ztosctl(t, "", "completion", sh); code != exitOK || !strings.Contains(out, "ztosctl") {
			t.Errorf("%s: exit %d", sh, code)
		}
	}
	if code, _, _ := ztosctl(t, "", "completion", "csh"); code != exitUsage {
		t.Errorf("csh: exit %d", code)
	}
}

func TestRelease(t *testing.T) {
	socket := serve(t, nodetest.New())
	const args = "evpn release 10100 02:00:00:00:00:07 --socket "
	for _, want := range []string{"released 02:00:00:00:00:07 in VNI 10100\n", ""} {
		if code, out, errs := ztosctl(t, "", strings.Fields(args+socket)...); out != want || (want != "") != (code == exitOK) {
			t.Errorf("exit %d, %s%s, want %q", code, out, errs, want)
		}
	}
}
