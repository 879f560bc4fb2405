package control_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ztos/ztos/config/status"
)

// secondVNI is an edit that adds a protected VNI with keys of its own.
var secondVNI = []string{"bridge-domains:\n", `bridge-domains:
- vni: 10200
  attach: [{port: t2}]
  vteps: [192.0.2.2]
  macsec:
    tx: {sci: "0200000000010002", an: 0, sas: [{an: 0, key-file: DIR/tx1.sak}]}
    peers: [{vtep: 192.0.2.2, sci: "0200000000020002", sas: [{an: 0, key-file: DIR/rx1.sak}]}]
`}

// A VNI whose configuration is as it was keeps its objects in an apply. Its key
// file is read all the same.
func TestUnchangedVNIIsStillChecked(t *testing.T) {
	s := newSite(t)
	n := s.mustStart(secondVNI...)
	with := func(more ...string) []string { return append(append([]string{}, secondVNI...), more...) }
	if _, err := s.apply(n, false, with("name: red\n", "name: red\n  ageing: 60s\n")...); err != nil {
		t.Fatal(err)
	}
	if got := n.Config().BridgeDomains[1].Ageing.D().Seconds(); got != 60 {
		t.Fatalf("ageing of the changed VNI is %v s", got)
	}
	s.write("tx1.sak", strings.Repeat("cc", 32))
	_, err := s.apply(n, false, with("name: red\n", "name: red\n  ageing: 70s\n")...)
	if err == nil || !strings.Contains(err.Error(), "bridge-domains[0].macsec.tx.sas[0]") {
		t.Errorf("another key under a live AN of a VNI that did not change: %v", err)
	}
	// Gone again, it comes back as new: nothing of it was kept.
	s.write("tx1.sak", strings.Repeat("a1", 32))
	if _, err := s.apply(n, false); err != nil {
		t.Fatal(err)
	}
	if got := len(n.SecYs()); got != 1 {
		t.Fatalf("%d SecYs after a VNI was removed", got)
	}
	if _, err := s.apply(n, false, secondVNI...); err != nil {
		t.Fatal(err)
	}
	if y := n.SecYs()[1]; !y.TxUsable || y.TxSAs[0].NextPN == 1 {
		t.Errorf("the VNI that came back: %+v", y)
	}
}

// A change of one VNI's SA is checked and made with that VNI's keys alone, and
// the other goes on.
func TestSAChangeTouchesOneVNI(t *testing.T) {
	s := newSite(t)
	n := s.mustStart(secondVNI...)
	before := n.SecYs()[1]
	if err := os.Remove(filepath.Join(s.dir, "rx1.sak")); err != nil {
		t.Fatal(err)
	}
	sa := status.SA{SARef: status.SARef{VNI: 10100, Direction: status.Tx, AN: 2}, KeyFile: filepath.Join(s.dir, "tx2.sak")}
	if err := n.InstallSA(sa); err != nil {
		t.Fatal(err)
	}
	if err := n.UseAN(10100, 2); err != nil {
		t.Fatal(err)
	}
	ys := n.SecYs()
	if ys[0].TxAN != 2 || len(ys[0].TxSAs) != 2 {
		t.Errorf("after the rollover: %+v", ys[0])
	}
	if ys[1].TxSAs[0].Fingerprint != before.TxSAs[0].Fingerprint || len(ys[1].RxSCs) != 1 || len(ys[1].RxSCs[0].SAs) != 1 {
		t.Errorf("the other VNI changed: %+v", ys[1])
	}
	// The other VNI's key file, with one SCI, is one key whoever asks.
	sa.AN, sa.KeyFile = 3, filepath.Join(s.dir, "tx1.sak")
	if err := n.InstallSA(sa); err != nil {
		t.Fatal(err) // another SCI: no nonce repeats
	}
	sa.AN, sa.KeyFile = 1, "relative.sak"
	if err := n.InstallSA(sa); err == nil || !strings.Contains(err.Error(), "is relative") {
		t.Errorf("a bad key file: %v", err)
	}
	if got := len(n.SecYs()[0].TxSAs); got != 3 {
		t.Errorf("%d SAs after a refused change, want 3", got)
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
}
