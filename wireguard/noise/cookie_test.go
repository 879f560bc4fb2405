package noise_test

import (
	"bytes"
	"crypto/rand"
	"testing"

	"golang.zx2c4.com/wireguard/device"

	"github.com/ztos/ztos/crypto/secret"
	"github.com/ztos/ztos/wireguard/noise"
)

// TestCookie: a cookie is bound to the source, to the message it answers, and to
// its time.
func TestCookie(t *testing.T) {
	const refresh = 120e9
	p := newPair(t, secret.Key32{})
	jar, checker := noise.NewJar(p.res.Public(), refresh), noise.NewChecker(p.res.Public(), refresh)
	src, now := []byte("192.0.2.1:1"), int64(1)
	_, m1 := p.initiate(t)
	jar.Put(now, m1)
	if checker.MAC2OK(now, m1, src) {
		t.Error("MAC2 is right before there is a cookie")
	}
	reply := make([]byte, noise.CookieReplySize)
	if err := checker.Reply(now, reply, m1, src, rand.Reader); err != nil {
		t.Fatal(err)
	}
	if got := noise.CookieReply(reply).Receiver(); got != 7 {
		t.Errorf("receiver %d, want 7", got)
	}
	for i := 8; i < 64; i++ {
		bad := bytes.Clone(reply)
		bad[i] ^= 1
		if jar.Take(now, bad) {
			t.Errorf("cookie reply with byte %d changed was taken", i)
		}
	}
	if !jar.Take(now, reply) {
		t.Fatal("cookie reply was refused")
	}
	if jar.Take(now, reply) {
		t.Error("the same cookie reply was taken twice")
	}
	for _, tt := range []struct {
		name string
		at   int64
		src  string
		want bool
	}{
		{"at once", now + 1, "192.0.2.1:1", true},
		{"other source", now + 1, "192.0.2.2:1", false},
		{"at the end", now + refresh, "192.0.2.1:1", true},
		{"too late", now + refresh + 1, "192.0.2.1:1", false},
	} {
		_, m := p.initiate(t)
		jar.Put(tt.at, m)
		if got := checker.MAC2OK(tt.at, m, []byte(tt.src)); got != tt.want {
			t.Errorf("%s: MAC2OK is %v, want %v", tt.name, got, tt.want)
		}
	}
	_, m := p.initiate(t)
	jar.Put(now, m)
	checker.Wipe()
	if checker.MAC2OK(now, m, src) {
		t.Error("MAC2 is right after the secret was wiped")
	}
}

// TestAgainstWireGuardGo compares MACs and cookies with the other
// implementation's, both ways.
func TestAgainstWireGuardGo(t *testing.T) {
	p := newPair(t, secret.Key32{})
	src := []byte{192, 0, 2, 1, 0x12, 0x34}
	var theirGen device.CookieGenerator
	var theirCheck device.CookieChecker
	theirGen.Init(device.NoisePublicKey(p.res.Public()))
	theirCheck.Init(device.NoisePublicKey(p.res.Public()))

	t.Run("they check", func(t *testing.T) {
		jar := noise.NewJar(p.res.Public(), 120e9)
		_, m := p.initiate(t)
		jar.Put(1, m)
		if !theirCheck.CheckMAC1(m) {
			t.Fatal("wireguard-go refuses our MAC1")
		}
		rep, err := theirCheck.CreateReply(m, 7, src)
		if err != nil {
			t.Fatal(err)
		}
		b := []byte{3, 0, 0, 0, 7, 0, 0, 0}
		b = append(append(b, rep.Nonce[:]...), rep.Cookie[:]...)
		if !jar.Take(2, b) {
			t.Fatal("we refuse wireguard-go's cookie")
		}
		jar.Put(3, m)
		if !theirCheck.CheckMAC2(m, src) {
			t.Error("wireguard-go refuses our MAC2")
		}
	})
	t.Run("we check", func(t *testing.T) {
		checker := noise.NewChecker(p.res.Public(), 120e9)
		_, m := p.initiate(t)
		theirGen.AddMacs(m)
		if !checker.MAC1OK(m) {
			t.Fatal("we refuse wireguard-go's MAC1")
		}
		out := make([]byte, noise.CookieReplySize)
		if err := checker.Reply(1, out, m, src, rand.Reader); err != nil {
			t.Fatal(err)
		}
		rep := &device.MessageCookieReply{Type: 3, Receiver: 7}
		copy(rep.Nonce[:], out[8:])
		copy(rep.Cookie[:], out[32:])
		if !theirGen.ConsumeReply(rep) {
			t.Fatal("wireguard-go refuses our cookie")
		}
		theirGen.AddMacs(m)
		if !checker.MAC2OK(2, m, src) {
			t.Error("we refuse wireguard-go's MAC2")
		}
	})
}
