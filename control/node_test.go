package control_test

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/config/status"
	"github.com/ztos/ztos/control"
	"github.com/ztos/ztos/engine/port/nstest"
)

// site is a leaf's configuration with its keys, in a folder of its own.
type site struct {
	t   *testing.T
	dir string
	ns  *nstest.NS
}

func newSite(t *testing.T) *site {
	s := &site{t: t, dir: t.TempDir(), ns: nstest.New(t)}
	// The kernel's own neighbour discovery would use packet numbers.
	if out, err := s.ns.Exec("sysctl", "-w", "net.ipv6.conf.default.disable_ipv6=1"); err != nil {
		t.Fatalf("sysctl: %v: %s", err, out)
	}
	for i := range 3 {
		s.write(fmt.Sprintf("tx%d.sak", i), strings.Repeat(fmt.Sprintf("a%d", i), 32))
		s.write(fmt.Sprintf("rx%d.sak", i), strings.Repeat(fmt.Sprintf("b%d", i), 32))
	}
	return s
}

func (s *site) write(name, line string) string {
	s.t.Helper()
	path := filepath.Join(s.dir, name)
	if err := os.WriteFile(path, []byte(line+"\n"), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return path
}

// document returns the configuration; edits are pairs of old and new text.
func (s *site) document(edits ...string) string {
	doc := `
node: {name: leaf1, roles: [leaf], address: 192.0.2.1, state-dir: DIR/state}
underlay: {listen: "127.0.0.1:51820", vxlan-listen: 127.0.0.1, source-ports: 0}
host: {mode: none}
peers:
- {name: leaf2, carrier: plain, endpoint: "192.0.2.2:0"}
ports:
- {name: t1, kind: tap, device: tap1}
- {name: t2, kind: tap, device: tap2}
bridge-domains:
- vni: 10100
  name: red
  attach: [{port: t1}]
  vteps: [192.0.2.2]
  macsec:
    tx: {sci: "0200000000010001", an: 0, sas: [{an: 0, key-file: DIR/tx0.sak}]}
    peers: [{vtep: 192.0.2.2, sci: "0200000000020001", sas: [{an: 0, key-file: DIR/rx0.sak}]}]
`
	doc = strings.NewReplacer(edits...).Replace(doc)
	return strings.ReplaceAll(doc, "DIR", s.dir)
}

// start runs a node in the site's namespace.
func (s *site) start(edits ...string) (*control.Node, error) {
	path := s.write("engine.yaml", s.document(edits...))
	var n *control.Node
	var err error
	s.ns.Do(func() { n, err = control.Start(path, slog.New(slog.NewTextHandler(io.Discard, nil)), "test") })
	return n, err
}

func (s *site) mustStart(edits ...string) *control.Node {
	s.t.Helper()
	n, err := s.start(edits...)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { n.Close() })
	return n
}

func (s *site) apply(n *control.Node, dry bool, edits ...string) (gen uint64, err error) {
	s.ns.Do(func() { gen, err = n.Apply([]byte(s.document(edits...)), dry) })
	return gen, err
}

func txSA(t *testing.T, n *control.Node, an uint8) status.TxSA {
	t.Helper()
	for _, a := range n.SecYs()[0].TxSAs {
		if a.AN == an {
			return a
		}
	}
	t.Fatalf("no transmit SA %d in %+v", an, n.SecYs())
	return status.TxSA{}
}

// A SAK from a file lives on when the process does not: no packet number may be
// granted a second time.
func TestPacketNumbersAreNotGrantedTwice(t *testing.T) {
	s := newSite(t)
	n := s.mustStart()
	first := txSA(t, n, 0)
	if first.NextPN != 1 || first.GrantedPN <= 1 {
		t.Fatalf("first start: next PN %d, granted %d; want 1 and more", first.NextPN, first.GrantedPN)
	}
	n.Close()
	again := s.mustStart()
	if got := txSA(t, again, 0).NextPN; got < first.GrantedPN {
		t.Errorf("second start begins at PN %d, but numbers below %d may have been used", got, first.GrantedPN)
	}
}

func TestDamagedPacketNumbersStopTheStart(t *testing.T) {
	s := newSite(t)
	if err := os.Mkdir(filepath.Join(s.dir, "state"), 0o700); err != nil {
		t.Fatal(err)
	}
	s.write("state/packet-numbers.json", "{")
	if n, err := s.start(); err == nil {
		n.Close()
		t.Fatal("the node started without knowing which packet numbers were used")
	}
}

// A configuration that can't be applied changes nothing, whatever part of it is
// wrong.
func TestRefusedApplyChangesNothing(t *testing.T) {
	s := newSite(t)
	n := s.mustStart()
	before := inForce(t, n)
	gen := n.Status().Generation
	for _, tt := range []struct {
		name  string
		edits []string
		want  string // in the fault
	}{
		{"not YAML", []string{"ports:", "ports: ["}, ""},
		{"unknown key", []string{"name: red", "name: red, colour: blue"}, ""},
		{"missing key file", []string{"tx0.sak", "none.sak"}, "bridge-domains[0].macsec.tx.sas[0].key-file"},
		{"another key under a live AN", []string{"tx0.sak", "tx1.sak"}, "bridge-domains[0].macsec.tx.sas[0]"},
		{"another receive key under a live AN", []string{"rx0.sak", "rx1.sak"}, "bridge-domains[0].macsec.peers[0].sas[0]"},
		{"one key for two ANs", []string{"sas: [{an: 0, key-file: DIR/tx0.sak}]", "sas: [{an: 0, key-file: DIR/tx0.sak}, {an: 1, key-file: DIR/tx0.sak}]"}, "bridge-domains[0].macsec.tx.sas[1]"},
		{"too large an MTU", []string{"name: red", "name: red\n  mtu: 9000"}, "bridge-domains[0].mtu"},
		{"device that can't be opened", []string{"device: tap2", "device: tap1"}, ""},
		{"section that is fixed", []string{"mode: none", "mode: netstack"}, "host"},
		{"new port, then a fault", []string{"- {name: t2", "- {name: t3, kind: tap, device: tap3}\n- {name: t2", "tx0.sak", "tx2.sak"}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := s.apply(n, false, tt.edits...)
			var faults config.Faults
			if !errors.As(err, &faults) || len(faults) == 0 {
				t.Fatalf("err = %v, want faults", err)
			}
			if !strings.Contains(faults.Error(), tt.want) {
				t.Errorf("faults %v do not name %s", faults, tt.want)
			}
			if after := inForce(t, n); after != before {
				t.Errorf("something changed:\n was %s\n now %s", before, after)
			}
			if g := n.Status().Generation; g != gen {
				t.Errorf("generation went from %d to %d", gen, g)
			}
		})
	}
	if out, err := s.ns.Try("link show tap3"); err == nil {
		t.Errorf("the refused apply left a device: %s", out)
	}
}

// inForce is what an apply could have changed.
func inForce(t *testing.T, n *control.Node) string {
	t.Helper()
	doc, err := config.Marshal(n.Config())
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%s\n%+v\n%+v", doc, n.SecYs(), n.MTUs())
}

func TestDryRunOnlyChecks(t *testing.T) {
	s := newSite(t)
	n := s.mustStart()
	gen, err := s.apply(n, true, "name: red", "name: pink")
	if err != nil || gen != n.Status().Generation || n.Config().BridgeDomains[0].Name != "red" {
		t.Fatalf("dry run: generation %d, err %v, name now %q", gen, err, n.Config().BridgeDomains[0].Name)
	}
}

// A rollover by the API: install, use, remove; and what must not be done.
func TestRollover(t *testing.T) {
	s := newSite(t)
	n := s.mustStart()
	key := func(name string) string { return filepath.Join(s.dir, name) }
	var tx, rx config.SCI
	hexTo(t, tx[:], "0200000000010001")
	hexTo(t, rx[:], "0200000000020001")
	ref := func(d status.Direction, sci config.SCI, an uint8) status.SARef {
		return status.SARef{VNI: 10100, Direction: d, SCI: sci, AN: an}
	}
	step := func(what string, err error, want error) {
		t.Helper()
		if !errors.Is(err, want) {
			t.Fatalf("%s: err = %v, want %v", what, err, want)
		}
	}
	step("use an AN without an SA", n.UseAN(10100, 1), status.ErrPrecondition)
	step("unknown VNI", n.UseAN(7, 1), status.ErrNotFound)
	step("install rx", n.InstallSA(status.SA{SARef: ref(status.Rx, rx, 1), KeyFile: key("rx1.sak")}), nil)
	step("install tx", n.InstallSA(status.SA{SARef: ref(status.Tx, tx, 1), KeyFile: key("tx1.sak")}), nil)
	step("install twice", n.InstallSA(status.SA{SARef: ref(status.Tx, tx, 1), KeyFile: key("tx2.sak")}), status.ErrPrecondition)
	step("remove the SA in use", n.RemoveSA(ref(status.Tx, tx, 0)), status.ErrPrecondition)
	step("use", n.UseAN(10100, 1), nil)
	if st := n.SecYs()[0]; !st.TxUsable || st.TxAN != 1 {
		t.Fatalf("after use: %+v", st)
	}
	step("remove tx", n.RemoveSA(ref(status.Tx, tx, 0)), nil)
	step("remove rx", n.RemoveSA(ref(status.Rx, rx, 0)), nil)
	step("remove the last", n.RemoveSA(ref(status.Rx, rx, 1)), status.ErrPrecondition)
	st := n.SecYs()[0]
	if len(st.TxSAs) != 1 || len(st.RxSCs[0].SAs) != 1 || st.RxSCs[0].SAs[0].AN != 1 {
		t.Fatalf("at the end: %+v", st)
	}
}

func TestPortsComeAndGoByApply(t *testing.T) {
	s := newSite(t)
	n := s.mustStart()
	if _, err := s.apply(n, false, "- {name: t2, kind: tap, device: tap2}\n", "- {name: t3, kind: tap, device: tap3}\n"); err != nil {
		t.Fatal(err)
	}
	s.ns.IP("link show tap3")
	if _, err := s.ns.Try("link show tap2"); err == nil {
		t.Error("the removed port's device is still there")
	}
	ports := n.Ports()
	if len(ports) != 2 || ports[1].Name != "t3" || !ports[1].Present {
		t.Errorf("ports %+v, want t1 and t3", ports)
	}
}

// The tenant MTU is computed, reported, and set on ports that the engine owns.
func TestTenantMTUIsSetOnOwnedPorts(t *testing.T) {
	s := newSite(t)
	n := s.mustStart()
	// 1500 - Ethernet 14 - MACsec 32 - VXLAN 8 - UDP 8 - IPv4 20
	if got := n.MTUs()[0].TenantMTU; got != 1418 {
		t.Errorf("tenant MTU %d, want 1418", got)
	}
	if p := n.Ports()[0]; p.MTU != 1418 || !p.Owned {
		t.Errorf("the port's MTU is %d (owned: %v), want 1418", p.MTU, p.Owned)
	}
	if _, err := s.apply(n, false, "name: red", "name: red\n  mtu: 1300"); err != nil {
		t.Fatal(err)
	}
	if p := n.Ports()[0]; p.MTU != 1300 {
		t.Errorf("after a cap of 1300 the port's MTU is %d", p.MTU)
	}
}

func TestNoKeyIsShown(t *testing.T) {
	s := newSite(t)
	n := s.mustStart()
	shown := fmt.Sprintf("%+v %+v %+v %+v %#v", n.Status(), n.SecYs(), n.Counters(), n.Config(), n.SecYs())
	for _, k := range []string{strings.Repeat("a0", 8), strings.Repeat("b0", 8)} {
		if strings.Contains(shown, k) {
			t.Errorf("key material %s... is shown", k)
		}
	}
}

func TestCheckReportsEveryFault(t *testing.T) {
	s := newSite(t)
	path := s.write("engine.yaml", s.document("tx0.sak", "none.sak", "rx0.sak", "nor-this.sak", "name: red", "name: red\n  mtu: 8000"))
	_, err := control.Check(path)
	var r control.Refused
	if !errors.As(err, &r) || len(r.Faults) != 3 {
		t.Fatalf("err = %v, want three faults", err)
	}
	if report, err := control.Check(s.write("good.yaml", s.document())); err != nil || !strings.Contains(report, "tenant MTU 1418") {
		t.Errorf("a good configuration: report %q, err %v", report, err)
	}
}

func hexTo(t *testing.T, dst []byte, text string) {
	t.Helper()
	if _, err := hex.Decode(dst, []byte(text)); err != nil {
		t.Fatal(err)
	}
}
