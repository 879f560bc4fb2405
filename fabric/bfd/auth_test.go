package bfd_test

import (
	"bytes"
	"crypto/sha1"
	"testing"

	"github.com/ztos/ztos/fabric/bfd"
)

func authenticated(typ bfd.AuthType, keys ...string) func(a, b *bfd.Config) {
	return func(a, b *bfd.Config) {
		a.Auth = bfd.Auth{Type: typ, KeyID: 7, Key: key(keys[0])}
		b.Auth = bfd.Auth{Type: typ, KeyID: 7, Key: key(keys[len(keys)-1])}
	}
}

// TestAuthLayout: RFC 5880 section 4.4, with a digest that is made here the naive
// way: the whole packet with the key, and zeros behind it, in the digest's place.
func TestAuthLayout(t *testing.T) {
	for _, typ := range []bfd.AuthType{bfd.KeyedSHA1, bfd.MeticulousSHA1} {
		w := newWorld(t, authenticated(typ, "fabric"))
		w.up()
		for i, p := range w.a.sent {
			b := p.raw
			if len(b) != 52 || b[3] != 52 || !p.Auth || b[24] != byte(typ) || b[25] != 28 || b[26] != 7 || b[27] != 0 {
				t.Fatalf("%v: % x", typ, b)
			}
			plain := append([]byte(nil), b...)
			clear(plain[32:])
			copy(plain[32:], "fabric")
			if sum := sha1.Sum(plain); !bytes.Equal(sum[:], b[32:]) {
				t.Errorf("%v: digest % x, want % x", typ, b[32:], sum)
			}
			if i == 0 {
				continue
			}
			step := seq(b) - seq(w.a.sent[i-1].raw)
			if same := bytes.Equal(b[:24], w.a.sent[i-1].raw[:24]); step != 1 && (typ == bfd.MeticulousSHA1 || !same || step != 0) {
				t.Errorf("%v: sequence number went up by %d, content the same: %v", typ, step, same)
			}
		}
	}
}

func seq(b []byte) uint32 {
	return uint32(b[28])<<24 | uint32(b[29])<<16 | uint32(b[30])<<8 | uint32(b[31])
}

// TestAuthRefuses: what is not authentic as configured has no effect.
func TestAuthRefuses(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(a, b *bfd.Config)
		a, b   bfd.Stat
	}{
		{"another key", authenticated(bfd.MeticulousSHA1, "fabric", "Fabric"), bfd.RefusedAuthDigest, bfd.RefusedAuthDigest},
		{"a longer key", authenticated(bfd.KeyedSHA1, "fabric", "fabric1"), bfd.RefusedAuthDigest, bfd.RefusedAuthDigest},
		{"one end only", func(a, _ *bfd.Config) { a.Auth = bfd.Auth{Type: bfd.KeyedSHA1, Key: key("k")} }, bfd.RefusedAuthMissing, bfd.RefusedAuthSurplus},
		{"two types", func(a, b *bfd.Config) {
			authenticated(bfd.KeyedSHA1, "k")(a, b)
			b.Auth.Type = bfd.MeticulousSHA1
		}, bfd.RefusedAuthForm, bfd.RefusedAuthForm},
		{"two key numbers", func(a, b *bfd.Config) { authenticated(bfd.KeyedSHA1, "k")(a, b); b.Auth.KeyID = 8 }, bfd.RefusedAuthKey, bfd.RefusedAuthKey},
	} {
		w := newWorld(t, tt.change)
		w.run(10 * sec)
		a, b := w.a.status(), w.b.status()
		if a.State != bfd.Down || b.State != bfd.Down || a.Stats[tt.a] == 0 || b.Stats[tt.b] == 0 || a.Stats[bfd.Received]+b.Stats[bfd.Received] != 0 {
			t.Errorf("%s: %v, %v: %v\n%v", tt.name, a.State, b.State, a.Stats, b.Stats)
		}
	}
}

// TestReplay: a packet counts once when the type is meticulous, and for as long as
// nothing changes otherwise; what is too far ahead does not count.
func TestReplay(t *testing.T) {
	for _, typ := range []bfd.AuthType{bfd.KeyedSHA1, bfd.MeticulousSHA1} {
		w := newWorld(t, authenticated(typ, "fabric"))
		w.up()
		w.run(sec)
		take := func(raw []byte) bfd.Stat {
			_, got := w.a.Receive(w.now, &bfd.Arrival{From: w.b.addr, TTL: 255, Port: bfd.SingleHopPort, Payload: raw})
			return got
		}
		last := w.b.sent[len(w.b.sent)-1].raw
		want := bfd.Received
		if typ == bfd.MeticulousSHA1 {
			want = bfd.RefusedAuthSequence
		}
		if got := take(last); got != want {
			t.Errorf("%v: the last packet again: %v, want %v", typ, got, want)
		}
		if got := take(w.b.sent[0].raw); got != bfd.RefusedAuthSequence && got != bfd.RefusedState {
			t.Errorf("%v: the first packet again: %v", typ, got)
		}
		forged := append([]byte(nil), last...)
		forged[31]++ // the next sequence number
		if got := take(forged); got != bfd.RefusedAuthDigest {
			t.Errorf("%v: forged: %v", typ, got)
		}
		w.a.want(t, "after replays", bfd.Up)
	}
	// Ten packets lost are more than 3 x 3: the session begins anew.
	w := newWorld(t, authenticated(bfd.MeticulousSHA1, "fabric"))
	w.up()
	w.a.deaf = true
	for n := len(w.b.sent) + 10; len(w.b.sent) < n; {
		w.run(ms)
	}
	w.a.deaf = false
	w.run(ms * 40)
	if w.a.status().Stats[bfd.WentDown] != 1 {
		t.Errorf("%+v", w.a.status())
	}
	w.up()
}

// TestAuthAfterRestart: the numbers of one that begins anew are taken when its old
// ones are twice the detection time past.
func TestAuthAfterRestart(t *testing.T) {
	w := newWorld(t, authenticated(bfd.MeticulousSHA1, "fabric"))
	w.up()
	c := session("10.0.0.1")
	c.Auth = bfd.Auth{Type: bfd.MeticulousSHA1, KeyID: 7, Key: key("fabric")}
	w.b.Table = bfd.NewTable(dice(99))
	w.apply(w.b, c)
	w.up()
	if n := w.a.status().Stats[bfd.WentDown]; n != 1 {
		t.Errorf("went down %d times", n)
	}
}

// TestValidate: one fault each.
func TestValidate(t *testing.T) {
	for _, change := range []func(c *bfd.Config){
		func(c *bfd.Config) { c.Name = "" },
		func(c *bfd.Config) { c.Remote = c.Local },
		func(c *bfd.Config) { c.Local = session("fd00::1").Remote },
		func(c *bfd.Config) { c.Hops = 0 },
		func(c *bfd.Config) { c.Tx = ms },
		func(c *bfd.Config) { c.Rx = 61 * sec },
		func(c *bfd.Config) { c.Tx++ },
		func(c *bfd.Config) { c.Mult = 0 },
		func(c *bfd.Config) { c.Auth.Type = bfd.KeyedSHA1 },
		func(c *bfd.Config) { c.Auth = bfd.Auth{Type: bfd.KeyedSHA1, Key: key("012345678901234567890")} },
		func(c *bfd.Config) { c.Auth.Type = 1 },
	} {
		c := session("10.0.0.2")
		change(&c)
		table := bfd.NewTable(dice(1))
		if _, err := table.Apply(1, []bfd.Config{c}); err == nil || len(table.Status()) != 0 {
			t.Errorf("%+v was taken", c)
		}
	}
	table := bfd.NewTable(dice(1))
	if _, err := table.Apply(1, []bfd.Config{session("10.0.0.2"), session("10.0.0.3")}); err == nil {
		t.Error("two of one name were taken")
	}
	b := session("10.0.0.2")
	b.Name = "b"
	if _, err := table.Apply(1, []bfd.Config{session("10.0.0.2"), b}); err == nil {
		t.Error("two with one address were taken")
	}
}
