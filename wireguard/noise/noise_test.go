package noise_test

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/ztos/ztos/crypto/secret"
	"github.com/ztos/ztos/wireguard/noise"
)

// vector is one handshake of testdata/vectors.json, which vectors.py computed
// with other code. Keys and messages are hex.
type vector struct {
	Name               string
	InitiatorPrivate   string `json:"initiator_private"`
	ResponderPrivate   string `json:"responder_private"`
	InitiatorPublic    string `json:"initiator_public"`
	ResponderPublic    string `json:"responder_public"`
	InitiatorEphemeral string `json:"initiator_ephemeral"`
	ResponderEphemeral string `json:"responder_ephemeral"`
	PSK                string `json:"psk"`
	Timestamp          string `json:"timestamp"`
	InitiatorIndex     uint32 `json:"initiator_index"`
	ResponderIndex     uint32 `json:"responder_index"`
	Initiation         string `json:"initiation"`
	Response           string `json:"response"`
	InitiatorSend      string `json:"initiator_send"`
	InitiatorRecv      string `json:"initiator_recv"`
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func key32(t testing.TB, s string) secret.Key32 {
	t.Helper()
	k, ok := secret.New(unhex(t, s)).Key32()
	if !ok {
		t.Fatalf("%d hex digits are not a key", len(s))
	}
	return k
}

func identity(t testing.TB, k secret.Key32) *noise.Identity {
	t.Helper()
	id, err := noise.NewIdentity(k)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func randomKey(t testing.TB) secret.Key32 {
	t.Helper()
	var b [32]byte
	if _, err := rand.Read(b[:]); err != nil {
		t.Fatal(err)
	}
	return secret.New32(&b)
}

func remote(t testing.TB, id *noise.Identity, of *noise.Identity, psk secret.Key32) *noise.Remote {
	t.Helper()
	r, err := id.Remote(of.Public(), psk)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestVectors(t *testing.T) {
	b, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors []vector
	if err := json.Unmarshal(b, &vectors); err != nil {
		t.Fatal(err)
	}
	for _, v := range vectors {
		t.Run(v.Name, func(t *testing.T) {
			psk := key32(t, v.PSK)
			ini, res := identity(t, key32(t, v.InitiatorPrivate)), identity(t, key32(t, v.ResponderPrivate))
			if got := ini.Public(); hex.EncodeToString(got[:]) != v.InitiatorPublic {
				t.Fatalf("initiator is %x, want %s", got, v.InitiatorPublic)
			}
			if got := res.Public(); hex.EncodeToString(got[:]) != v.ResponderPublic {
				t.Fatalf("responder is %x, want %s", got, v.ResponderPublic)
			}
			toRes, toIni := remote(t, ini, res, psk), remote(t, res, ini, psk)

			m1 := make([]byte, noise.InitiationSize)
			p, err := ini.Initiate(m1, toRes, v.InitiatorIndex, noise.Timestamp(unhex(t, v.Timestamp)), bytes.NewReader(unhex(t, v.InitiatorEphemeral)))
			if err != nil {
				t.Fatal(err)
			}
			noise.NewJar(res.Public(), 1e9).Put(1, m1)
			if got := hex.EncodeToString(m1); got != v.Initiation {
				t.Fatalf("initiation\n got %s\nwant %s", got, v.Initiation)
			}
			if !noise.NewChecker(res.Public(), 1e9).MAC1OK(m1) {
				t.Error("MAC1 of the initiation is wrong")
			}

			q, err := res.Accept(m1)
			if err != nil {
				t.Fatal(err)
			}
			if q.Remote() != ini.Public() || q.Sender() != v.InitiatorIndex {
				t.Errorf("initiation is from %v, index %#x", q.Remote(), q.Sender())
			}
			ts, err := q.Verify(toIni)
			if err != nil || hex.EncodeToString(ts[:]) != v.Timestamp {
				t.Fatalf("time stamp %x, %v; want %s", ts, err, v.Timestamp)
			}
			m2 := make([]byte, noise.ResponseSize)
			rk, err := q.Respond(m2, toIni, v.ResponderIndex, bytes.NewReader(unhex(t, v.ResponderEphemeral)))
			if err != nil {
				t.Fatal(err)
			}
			noise.NewJar(ini.Public(), 1e9).Put(1, m2)
			if got := hex.EncodeToString(m2); got != v.Response {
				t.Fatalf("response\n got %s\nwant %s", got, v.Response)
			}
			if r := noise.Response(m2); r.Sender() != v.ResponderIndex || r.Receiver() != v.InitiatorIndex {
				t.Errorf("response indices %#x, %#x", r.Sender(), r.Receiver())
			}
			ik, err := p.Finish(m2)
			if err != nil {
				t.Fatal(err)
			}
			for _, k := range []struct {
				name string
				got  secret.Key32
				want string
			}{
				{"initiator send", ik.Send, v.InitiatorSend},
				{"initiator recv", ik.Recv, v.InitiatorRecv},
				{"responder send", rk.Send, v.InitiatorRecv},
				{"responder recv", rk.Recv, v.InitiatorSend},
			} {
				if !k.got.Equal(key32(t, k.want)) {
					t.Errorf("%s key differs", k.name)
				}
			}
		})
	}
}

// pair is two identities that know each other.
type pair struct {
	ini, res     *noise.Identity
	toRes, toIni *noise.Remote
}

func newPair(t testing.TB, psk secret.Key32) pair {
	p := pair{ini: identity(t, randomKey(t)), res: identity(t, randomKey(t))}
	p.toRes, p.toIni = remote(t, p.ini, p.res, psk), remote(t, p.res, p.ini, psk)
	return p
}

func (p pair) initiate(t testing.TB) (*noise.Pending, []byte) {
	t.Helper()
	m := make([]byte, noise.InitiationSize)
	pend, err := p.ini.Initiate(m, p.toRes, 7, noise.TimestampOf(time.Unix(1e9, 0)), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return pend, m
}

func (p pair) respond(t testing.TB, m1 []byte) []byte {
	t.Helper()
	q, err := p.res.Accept(m1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := q.Verify(p.toIni); err != nil {
		t.Fatal(err)
	}
	m := make([]byte, noise.ResponseSize)
	if _, err := q.Respond(m, p.toIni, 9, rand.Reader); err != nil {
		t.Fatal(err)
	}
	return m
}

// TestTampered flips every byte that a handshake message authenticates.
func TestTampered(t *testing.T) {
	p := newPair(t, randomKey(t))
	pend, m1 := p.initiate(t)
	for i := 8; i < 116; i++ { // type is checked by Valid; the sender index is bound by MAC1 only
		bad := bytes.Clone(m1)
		bad[i] ^= 0x40
		q, err := p.res.Accept(bad)
		if err == nil {
			_, err = q.Verify(p.toIni)
		}
		if !errors.Is(err, noise.ErrAuth) {
			t.Errorf("initiation with byte %d changed: %v, want ErrAuth", i, err)
		}
	}
	m2 := p.respond(t, m1)
	for i := 12; i < 60; i++ {
		bad := bytes.Clone(m2)
		bad[i] ^= 0x40
		if _, err := pend.Finish(bad); !errors.Is(err, noise.ErrAuth) {
			t.Errorf("response with byte %d changed: %v, want ErrAuth", i, err)
		}
	}
	// None of the forgeries spoilt the handshake.
	if _, err := pend.Finish(m2); err != nil {
		t.Errorf("the authentic response: %v", err)
	}
	if _, err := pend.Finish(m2); !errors.Is(err, noise.ErrDone) {
		t.Errorf("the response again: %v, want ErrDone", err)
	}
	c := noise.NewChecker(p.res.Public(), 1e9)
	noise.NewJar(p.res.Public(), 1e9).Put(1, m1)
	for i := range 132 {
		bad := bytes.Clone(m1)
		bad[i] ^= 1
		if c.MAC1OK(bad) {
			t.Errorf("MAC1 does not cover byte %d", i)
		}
	}
}

func TestPSKMismatch(t *testing.T) {
	p := newPair(t, randomKey(t))
	pend, m1 := p.initiate(t)
	p.toIni.SetPSK(secret.Key32{})
	if p.toIni.HasPSK() || !p.toIni.PSKEqual(secret.New32(new([32]byte))) || p.toIni.PSKEqual(randomKey(t)) {
		t.Error("an empty preshared key is not treated as none")
	}
	m2 := p.respond(t, m1)
	if _, err := pend.Finish(m2); !errors.Is(err, noise.ErrAuth) {
		t.Errorf("different preshared keys: %v, want ErrAuth", err)
	}
}

func TestKeyErrors(t *testing.T) {
	if _, err := noise.NewIdentity(secret.Key32{}); !errors.Is(err, noise.ErrKey) {
		t.Errorf("empty private key: %v", err)
	}
	id := identity(t, randomKey(t))
	// Points of low order, RFC 7748 section 6.1: 0 and 1.
	for _, b := range []byte{0, 1} {
		if _, err := id.Remote(noise.PublicKey{b}, secret.Key32{}); !errors.Is(err, noise.ErrLowOrder) {
			t.Errorf("public key %d: %v, want ErrLowOrder", b, err)
		}
	}
	k := id.Public()
	if got, err := noise.ParsePublicKey(k.String()); err != nil || got != k {
		t.Errorf("ParsePublicKey(String()) = %v, %v", got, err)
	}
	for _, s := range []string{"", "AAAA", "not base64", k.String() + "\n"} {
		if _, err := noise.ParsePublicKey(s); err == nil && !strings.HasSuffix(s, "\n") {
			t.Errorf("ParsePublicKey(%q) succeeded", s)
		}
	}
	var zero noise.PublicKey
	if !zero.IsZero() || k.IsZero() {
		t.Error("IsZero is wrong")
	}
}

// TestIdentityOwnsItsKey: wiping the caller's key leaves the identity's.
func TestIdentityOwnsItsKey(t *testing.T) {
	k := randomKey(t)
	id := identity(t, k)
	res := identity(t, randomKey(t))
	k.Wipe()
	if _, err := id.Remote(res.Public(), secret.Key32{}); err != nil {
		t.Errorf("after the caller wiped its key: %v", err)
	}
	id.Wipe()
	if _, err := id.Remote(res.Public(), secret.Key32{}); !errors.Is(err, noise.ErrKey) {
		t.Errorf("after Wipe: %v, want ErrKey", err)
	}
}

// TestNothingPrints: no verb shows a byte of a secret.
func TestNothingPrints(t *testing.T) {
	p := newPair(t, randomKey(t))
	pend, m1 := p.initiate(t)
	q, err := p.res.Accept(m1)
	if err != nil {
		t.Fatal(err)
	}
	jar, checker := noise.NewJar(p.res.Public(), 1), noise.NewChecker(p.res.Public(), 1)
	for _, v := range []any{p.ini, *p.ini, p.toRes, *p.toRes, pend, *pend, q, *q, jar, *jar, checker, *checker, struct{ X noise.Identity }{*p.ini}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d", "%q"} {
			if s := fmt.Sprintf(verb, v); s != "[redacted]" && s != "{[redacted]}" && !strings.Contains(s, "X:[redacted]") {
				t.Errorf("%s of %T prints %q", verb, v, s)
			}
		}
		if b, err := json.Marshal(v); err == nil && len(b) > 10 {
			t.Errorf("JSON of %T is %s", v, b)
		}
	}
}

func TestTimestamp(t *testing.T) {
	// 1970-01-01 is label 2^62+10; whitened to 2^24 ns.
	if got, want := fmt.Sprintf("%x", noise.TimestampOf(time.Unix(0, 1<<24+5))), "400000000000000a01000000"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	last := noise.TimestampOf(time.Unix(1e9, 0))
	for i := range 200 {
		n := last.Next()
		if !n.After(last) || last.After(n) || n.After(n) {
			t.Fatalf("step %d: %x does not follow %x", i, n, last)
		}
		last = n
	}
	// 200 steps of 16.8 ms are 3.36 s: Next carries into the seconds.
	if a, b := noise.TimestampOf(time.Unix(1e9+3, 0)), noise.TimestampOf(time.Unix(1e9+4, 0)); !last.After(a) || !b.After(last) {
		t.Errorf("after 200 steps: %x", last)
	}
}

func TestClassify(t *testing.T) {
	msg := func(typ byte, n int) []byte { b := make([]byte, n); b[0] = typ; return b }
	for _, tt := range []struct {
		name string
		b    []byte
		want noise.Type
	}{
		{"nothing", nil, noise.TypeInvalid},
		{"initiation", msg(1, 148), noise.TypeInitiation},
		{"initiation, long", msg(1, 149), noise.TypeInvalid},
		{"initiation, short", msg(1, 147), noise.TypeInvalid},
		{"response", msg(2, 92), noise.TypeResponse},
		{"response, long", msg(2, 93), noise.TypeInvalid},
		{"cookie", msg(3, 64), noise.TypeCookieReply},
		{"cookie, short", msg(3, 63), noise.TypeInvalid},
		{"keepalive", msg(4, 32), noise.TypeData},
		{"data", msg(4, 1452), noise.TypeData},
		{"data, short", msg(4, 31), noise.TypeInvalid},
		{"type 0", msg(0, 148), noise.TypeInvalid},
		{"type 5", msg(5, 148), noise.TypeInvalid},
		{"reserved byte", append([]byte{1, 0, 1, 0}, make([]byte, 144)...), noise.TypeInvalid},
	} {
		if got := noise.Classify(tt.b); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
		if got, want := noise.Data(tt.b).Valid(), tt.want == noise.TypeData; got != want {
			t.Errorf("%s: Data.Valid is %v", tt.name, got)
		}
	}
}

// FuzzDecode feeds everything that decodes bytes from the network.
func FuzzDecode(f *testing.F) {
	p := newPair(f, secret.Key32{})
	pend, m1 := p.initiate(f)
	m2 := p.respond(f, m1)
	jar, checker := noise.NewJar(p.ini.Public(), 1e9), noise.NewChecker(p.ini.Public(), 1e9)
	jar.Put(1, m2)
	m3 := make([]byte, noise.CookieReplySize)
	if err := checker.Reply(1, m3, m2, []byte("x"), rand.Reader); err != nil {
		f.Fatal(err)
	}
	m4 := make([]byte, 48)
	noise.PutDataHeader(m4, 1, 2)
	for _, m := range [][]byte{m1, m2, m3, m4, nil} {
		f.Add(m)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		was := bytes.Clone(b)
		typ := noise.Classify(b)
		if noise.Initiation(b).Valid() != (typ == noise.TypeInitiation) || noise.Data(b).Valid() != (typ == noise.TypeData) ||
			noise.Response(b).Valid() != (typ == noise.TypeResponse) || noise.CookieReply(b).Valid() != (typ == noise.TypeCookieReply) {
			t.Errorf("Valid and Classify (%d) differ", typ)
		}
		if q, err := p.res.Accept(b); err == nil {
			if _, err := q.Verify(p.toIni); err == nil && !bytes.Equal(b[8:116], m1[8:116]) {
				t.Error("a forged initiation verified")
			}
		}
		if !bytes.Equal(b, m2) {
			if _, err := pend.Finish(b); err == nil && !bytes.Equal(b[12:60], m2[12:60]) {
				t.Error("a forged response was accepted")
			}
		}
		j := noise.NewJar(p.ini.Public(), 1e9)
		if j.Take(1, b) {
			t.Error("a cookie was taken though nothing was sent")
		}
		if typ == noise.TypeInitiation || typ == noise.TypeResponse {
			checker.MAC1OK(b)
			checker.MAC2OK(1, b, []byte("x"))
		}
		if typ == noise.TypeData {
			h := make([]byte, 16)
			noise.PutDataHeader(h, noise.Data(b).Receiver(), noise.Data(b).Counter())
			if !bytes.Equal(h, b[:16]) {
				t.Errorf("header %x does not round-trip: %x", b[:16], h)
			}
		}
		if !bytes.Equal(b, was) {
			t.Error("the message was changed")
		}
	})
}

func BenchmarkHandshake(b *testing.B) {
	p := newPair(b, randomKey(b))
	for b.Loop() {
		pend, m1 := p.initiate(b)
		if _, err := pend.Finish(p.respond(b, m1)); err != nil {
			b.Fatal(err)
		}
	}
}
