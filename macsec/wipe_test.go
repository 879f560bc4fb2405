package macsec_test

import (
	"errors"
	"testing"

	"github.com/ztos/ztos/engine/counter"
	"github.com/ztos/ztos/macsec"
)

// TestRetiredKeys: the keys of SAs that were removed are handed out once, whatever
// took them away; wiped, a worker that still holds one protects and validates
// nothing with it.
func TestRetiredKeys(t *testing.T) {
	suite := macsec.GCMAES256
	a, b := pair(t, config(suite, macsec.Standard))
	if got := len(a.TakeRetired()) + len(b.TakeRetired()); got != 0 {
		t.Fatalf("%d retired at first", got)
	}
	frame := frameOf(100, 1)
	// A worker in the middle of a burst.
	var tx macsec.Tx
	slot := make([]byte, 200)
	if r := a.BeginTx(&tx, 3); r != counter.None {
		t.Fatal(r)
	}
	n, r := tx.Protect(slot, frame)
	if r != counter.None {
		t.Fatal(r)
	}
	a.StopTx()
	if _, err := a.RemoveTxSA(0); err != nil {
		t.Fatal(err)
	}
	if _, r := tx.Protect(make([]byte, 200), frame); r != counter.None {
		t.Fatalf("the burst in hand does not go on: %v", r)
	}
	gone := a.TakeRetired()
	if len(gone) != 1 || len(a.TakeRetired()) != 0 {
		t.Fatalf("%d retired", len(gone))
	}
	gone[0].Wipe()
	out := make([]byte, 200)
	if n, r := tx.Protect(out, frame); r == counter.None {
		t.Errorf("protected %d bytes with a wiped key", n)
	}
	// Receiving: by the removal of the SA, of the channel, and of everything.
	sa := b.RxSC(sciA).RxSA(0)
	if err := b.RemoveRxSA(sciA, 0); err != nil {
		t.Fatal(err)
	}
	if err := b.RemoveRxSA(sciA, 0); !errors.Is(err, macsec.ErrNoSA) {
		t.Errorf("removed twice: %v", err)
	}
	if k := b.TakeRetired(); len(k) != 1 || !macsec.IsKeyOf(k[0], sa) {
		t.Errorf("retired: %d, or another key", len(k))
	}
	for i, remove := range []func(){
		func() {
			if err := b.RemoveRxSC(sciA); err != nil {
				t.Error(err)
			}
			if _, err := b.AddRxSC(sciA, 1); err != nil {
				t.Error(err)
			}
		},
		b.Close,
	} {
		for an := range macsec.AN(3) {
			if _, err := b.InstallRxSA(sciA, rxConfig(suite, an, sak(suite, 40+10*byte(i)+byte(an)))); err != nil {
				t.Fatal(err)
			}
		}
		remove()
		if got := len(b.TakeRetired()); got < 3 {
			t.Errorf("%d: %d retired, want 3 at least", i, got)
		}
	}
	// What was closed sends and takes nothing.
	if r := b.BeginTx(&tx, 1); r != counter.MACsecNoTxSA {
		t.Errorf("BeginTx after Close: %v", r)
	}
	var rx macsec.Rx
	if _, _, r := b.Validate(&rx, slot[:n]); r != counter.MACsecUnknownSCI {
		t.Errorf("Validate after Close: %v", r)
	}
	b.Close()
	if got := len(b.TakeRetired()); got != 0 {
		t.Errorf("%d retired by a second Close", got)
	}
}
