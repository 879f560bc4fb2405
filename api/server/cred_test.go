package server

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/ztos/ztos/api/client"
	"github.com/ztos/ztos/api/nodetest"
)

func TestOwnOrRoot(t *testing.T) {
	me := uint32(os.Geteuid())
	for _, tt := range []struct {
		uid  uint32
		want bool
	}{{0, true}, {me, true}, {me + 1, false}, {65534, me == 65534}} {
		if got := ownOrRoot(tt.uid); got != tt.want {
			t.Errorf("uid %d: got %v, want %v", tt.uid, got, tt.want)
		}
	}
}

// TestStrangersAreCutOff asks the kernel for real, and lets nobody in.
func TestStrangersAreCutOff(t *testing.T) {
	path := filepath.Join(t.TempDir(), "engine.sock")
	var asked uint32 = 1 << 31
	s, err := listenAs(path, nodetest.New(), func(uid uint32) bool { asked = uid; return false })
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	c, err := client.Dial(path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Version(t.Context()); !errors.Is(err, client.ErrUnreachable) {
		t.Errorf("got %v", err)
	}
	s.Close()
	if asked != uint32(os.Geteuid()) {
		t.Errorf("the kernel named uid %d, want %d", asked, os.Geteuid())
	}
}
