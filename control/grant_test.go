package control_test

import (
	"strings"
	"testing"
)

// One key under two names, with one SCI, is one key: the second VNI would begin
// at packet numbers that the first will reach.
func TestKeyOfTwoNamesIsRefused(t *testing.T) {
	s := newSite(t)
	s.write("copy.sak", strings.Repeat("a0", 32))
	// Of one tenant: of two, nobody would come so far.
	second := `- vni: 10200
  attach: [{port: t2}]
  vrf: one
  gateway: {addresses: [10.1.2.1/24]}
  macsec:
    tx: {sci: "0200000000010001", an: 0, sas: [{an: 0, key-file: DIR/copy.sak}]}
`
	n, err := s.start("bridge-domains:\n", "vrfs: [{name: one}]\nbridge-domains:\n"+second,
		"  attach: [{port: t1}]\n", "  attach: [{port: t1}]\n  vrf: one\n  gateway: {addresses: [10.1.1.1/24]}\n")
	if err == nil {
		n.Close()
		t.Fatal("two VNIs send with one key and one SCI")
	}
	if !strings.Contains(err.Error(), "nonces would repeat") {
		t.Errorf("refused for another reason: %v", err)
	}
}
