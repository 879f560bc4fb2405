package control_test

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ztos/ztos/config/status"
	"github.com/ztos/ztos/control"
)

// wiped waits until n has wiped want keys in all and none waits.
func wiped(t *testing.T, n *control.Node, want int) {
	t.Helper()
	var waiting, got int
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if waiting, got = n.Keys(); waiting == 0 && got >= want {
			break
		}
	}
	if waiting != 0 || got != want {
		t.Fatalf("%d keys wiped and %d waiting, want %d and 0", got, waiting, want)
	}
}

// Keys of SAs are wiped once no worker can use them: those that a rollover
// removes, those of a change that was refused, those of a VNI that goes away or
// gets another SecY, and the rest when the node ends.
func TestKeysOfRemovedSAsAreWiped(t *testing.T) {
	s := newSite(t)
	n := s.mustStart(secondVNI...)
	wiped(t, n, 0)
	ref := func(an uint8) status.SARef { return status.SARef{VNI: 10100, Direction: status.Tx, AN: an} }
	if err := n.InstallSA(status.SA{SARef: ref(1), KeyFile: filepath.Join(s.dir, "tx2.sak")}); err != nil {
		t.Fatal(err)
	}
	if err := n.UseAN(10100, 1); err != nil {
		t.Fatal(err)
	}
	if err := n.RemoveSA(ref(0)); err != nil {
		t.Fatal(err)
	}
	wiped(t, n, 1)

	// VNI 10200, the first, gets another SA, before it turns out that 10100 has
	// another key under a live AN.
	s.write("tx2.sak", strings.Repeat("ee", 32))
	another := strings.Replace(secondVNI[1], `{an: 0, key-file: DIR/tx1.sak}`, `{an: 0, key-file: DIR/tx1.sak}, {an: 1, key-file: DIR/rx2.sak}`, 1)
	_, err := s.apply(n, false, secondVNI[0], another,
		`an: 0, sas: [{an: 0, key-file: DIR/tx0.sak}]`, `an: 1, sas: [{an: 1, key-file: DIR/tx2.sak}]`)
	if err == nil || !strings.Contains(err.Error(), "live with another key") {
		t.Fatalf("another key under a live AN: %v", err)
	}
	wiped(t, n, 2)

	// VNI 10200 goes, with a SecY of two SAs; 10100 gets another SecY instead of
	// its own, of two too.
	if _, err := s.apply(n, false, "macsec:\n", "macsec:\n    mode: hidden\n"); err != nil {
		t.Fatal(err)
	}
	wiped(t, n, 6)
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	wiped(t, n, 8)
}

// key is a key that knows when it was wiped.
type key struct{ gone bool }

func (k *key) Wipe() { k.gone = true }

// A key stays as it is while a worker is in a burst that began before its SA was
// removed; one that began after does not matter.
func TestKeyOutlivesTheBurst(t *testing.T) {
	s := newSite(t)
	n := s.mustStart()
	before, after := n.NewReader(), n.NewReader()
	defer before.Close()
	defer after.Close()
	before.Enter()
	k := new(key)
	n.Retire(k)
	after.Enter()
	n.WipeRetired()
	if k.gone {
		t.Fatal("wiped in the middle of a burst")
	}
	before.Leave()
	n.WipeRetired()
	if !k.gone {
		t.Error("not wiped after the burst")
	}
}
