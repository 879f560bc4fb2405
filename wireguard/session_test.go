package wireguard_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"

	"github.com/ztos/ztos/engine/counter"
	"github.com/ztos/ztos/wireguard"
	"github.com/ztos/ztos/wireguard/noise"
)

func TestPadding(t *testing.T) {
	for _, tt := range []struct{ n, max, want int }{
		{0, 0, 0}, {1, 0, 16}, {16, 0, 16}, {17, 0, 32}, {1419, 0, 1424},
		{1, 1420, 16}, {1409, 1420, 1420}, {1420, 1420, 1420}, {1400, 1420, 1408},
		{1421, 1420, 1421}, {9000, 1420, 9000}, {0, 1420, 0},
	} {
		if got := wireguard.PaddedLen(tt.n, tt.max); got != tt.want {
			t.Errorf("PaddedLen(%d, %d) = %d, want %d", tt.n, tt.max, got, tt.want)
		}
		if got := wireguard.SealedLen(tt.n, tt.max); got != tt.want+32 {
			t.Errorf("SealedLen(%d, %d) = %d, want %d", tt.n, tt.max, got, tt.want+32)
		}
	}
}

// goldenSealed is "hello" and 11 zeros sealed with key 00 01 .. 1f and nonce
// 00000000 0807060504030201, by Python's cryptography (ChaCha20Poly1305).
const goldenSealed = "982cc188c439ea1864ab2acc737861b8 2dd860391e9642d764eae03a10c83b7f"

// TestSealGolden: one data message byte for byte.
func TestSealGolden(t *testing.T) {
	w := newWorld(t, nil, nil, nil)
	var key [32]byte
	for i := range key {
		key[i] = byte(i)
	}
	s := w.a.peer.Install(w.now, key, [32]byte{}, 0xddccbbaa, true)
	slot := bytes.Repeat([]byte{0xff}, 64) // neither header nor padding may keep old bytes
	copy(slot[16:], "hello")
	n := s.Seal(slot, 0x0102030405060708, 5, 0)
	want := strings.ReplaceAll("04000000 aabbccdd 0807060504030201 "+goldenSealed, " ", "")
	if got := hex.EncodeToString(slot[:n]); got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
	if !bytes.Equal(slot[n:], bytes.Repeat([]byte{0xff}, 64-n)) {
		t.Error("bytes behind the message were changed")
	}
}

func TestSealOpen(t *testing.T) {
	w := newWorld(t, nil, nil, nil)
	w.connect(t, w.a)
	for _, n := range []int{20, 21, 64, 1419, 1420, 1500, 9000, 65000} {
		w.send(t, w.a, ipv4(n, inner4))
		w.send(t, w.b, ipv4(n, inner4))
	}
	msg, _ := w.seal(w.a, nil)
	if len(msg) != 32 {
		t.Errorf("a keepalive has %d bytes, want 32", len(msg))
	}
	if plain, r := w.open(w.b, w.a.addr, msg); r != counter.None || len(plain) != 0 {
		t.Errorf("keepalive: %x, %v", plain, r)
	}
}

// TestOpenRefuses: every reason, and that refused messages change nothing.
func TestOpenRefuses(t *testing.T) {
	w := newWorld(t, nil, nil, nil)
	w.connect(t, w.a)
	msg, _ := w.seal(w.a, ipv4(100, inner4))
	s := w.b.Sessions().Lookup(noise.Data(msg).Receiver())
	for i := range msg {
		if i >= 4 && i < 8 {
			continue // another session, or none
		}
		bad := bytes.Clone(msg)
		bad[i] ^= 0x40
		want := counter.WGAuthFailed
		if i < 4 {
			want = counter.WGBadMessage
		}
		plain, r := s.Open(bad, w.now)
		if r != want || plain != nil {
			t.Errorf("byte %d changed: %v, want %v", i, r, want)
		}
	}
	for n := range 32 {
		if _, r := s.Open(bytes.Clone(msg[:n]), w.now); r != counter.WGBadMessage {
			t.Errorf("cut to %d bytes: %v", n, r)
		}
	}
	over := bytes.Clone(msg)
	noise.PutDataHeader(over, s.Local(), math.MaxUint64-1<<13)
	if _, r := s.Open(over, w.now); r != counter.WGSessionExpired {
		t.Errorf("counter at the limit: %v", r)
	}
	again := bytes.Clone(msg)
	if _, r := s.Open(bytes.Clone(msg), w.now+180*second); r != counter.WGSessionExpired {
		t.Errorf("after 180 s: %v", r)
	}
	if _, r := s.Open(msg, w.now+180*second-1); r != counter.None {
		t.Errorf("before 180 s: %v", r)
	}
	if _, r := s.Open(again, w.now); r != counter.WGReplayed {
		t.Errorf("again: %v", r)
	}
	s.SetReceived(noise.Data(again).Counter() + wireguard.DefaultReplayWindow)
	late, _ := w.seal(w.a, nil) // the next counter, just inside
	if _, r := s.Open(late, w.now); r != counter.None {
		t.Errorf("oldest inside the window: %v", r)
	}
	s.SetReceived(noise.Data(again).Counter() + wireguard.DefaultReplayWindow + 3)
	late, _ = w.seal(w.a, nil)
	if _, r := s.Open(late, w.now); r != counter.WGReplayed {
		t.Errorf("behind the window: %v", r)
	}
}

// TestReserveLimits: counters end at the limit, whole runs only, and never wrap.
func TestReserveLimits(t *testing.T) {
	w := newWorld(t, nil, nil, nil)
	w.connect(t, w.a)
	s := w.a.peer.Session()
	limit := uint64(math.MaxUint64 - 1<<13)
	s.SetCounter(limit - 10)
	if _, _, r := w.a.peer.Reserve(w.now, 11); r != counter.WGNoSession {
		t.Errorf("a run over the limit: %v", r)
	}
	if _, first, r := w.a.peer.Reserve(w.now, 10); r != counter.None || first != limit-10 {
		t.Errorf("the last run: %d, %v", first, r)
	}
	for range 100 {
		if _, _, r := w.a.peer.Reserve(w.now, 1<<12); r != counter.WGNoSession {
			t.Fatalf("after the end: %v", r)
		}
	}
	if got := s.Sealed(); got != limit {
		t.Errorf("counter is %d, want it to stay at %d", got, limit)
	}
}

// TestRun seals runs and opens them as one GRO bundle.
func TestRun(t *testing.T) {
	w := newWorld(t, nil, nil, nil)
	w.connect(t, w.a)
	var sb, ob wireguard.Batch
	for _, tt := range []struct{ n, plain, last, max int }{
		{1, 0, 0, 0}, {1, 1400, 1400, 1420}, {2, 60, 60, 0}, {40, 1420, 1420, 1420},
		{40, 1420, 33, 1420}, {128, 40, 20, 0}, {5, 1415, 1415, 1420},
	} {
		name := fmt.Sprintf("%d of %d, last %d", tt.n, tt.plain, tt.last)
		slot := wireguard.SealedLen(tt.plain, tt.max)
		buf := bytes.Repeat([]byte{0xee}, tt.n*slot)
		var want [][]byte
		for i := range tt.n {
			k := tt.plain
			if i == tt.n-1 {
				k = tt.last
			}
			p := bytes.Repeat([]byte{byte(i)}, k)
			copy(buf[i*slot+16:], p)
			want = append(want, append(p, make([]byte, wireguard.PaddedLen(k, tt.max)-k)...))
		}
		s, first, r := w.a.peer.Reserve(w.now, tt.n)
		if r != counter.None {
			t.Fatal(r)
		}
		total := s.SealRun(&sb, buf, slot, tt.n, first, tt.plain, tt.last, tt.max)
		if wantLen := (tt.n-1)*slot + wireguard.SealedLen(tt.last, tt.max); total != wantLen {
			t.Errorf("%s: spans %d bytes, want %d", name, total, wantLen)
		}
		res := ob.OpenRun(w.b.Sessions(), w.now, buf[:total], slot)
		if len(res) != tt.n {
			t.Fatalf("%s: %d results", name, len(res))
		}
		for i, o := range res {
			if o.Reason != counter.None || !bytes.Equal(o.Plain, want[i]) || o.Session.Peer() != w.b.peer {
				t.Fatalf("%s: message %d: %v, %x", name, i, o.Reason, o.Plain)
			}
		}
	}
}

// TestRunMixed: a bundle of everything that can be in one, each judged alone.
func TestRunMixed(t *testing.T) {
	w := newWorld(t, nil, nil, nil)
	w.connect(t, w.a)
	const seg = 148
	var buf []byte
	var want []string
	add := func(msg []byte, what string) { buf, want = append(buf, msg...), append(want, what) }
	data := func() []byte { // as long as an initiation
		m := make([]byte, seg)
		copy(m[16:], ipv4(seg-32, inner4))
		s, first, _ := w.a.peer.Reserve(w.now, 1)
		return m[:s.Seal(m, first, seg-32, seg-32)]
	}
	init := make([]byte, seg)
	init[0] = 1
	old := data() // from the session before
	w.now += 6 * second
	w.connect(t, w.a)
	add(data(), "none")
	add(old, "none")
	add(init, "initiation")
	again := data()
	add(again, "none")
	add(again, "wg-replayed")
	bad := data()
	bad[100] ^= 1
	add(bad, "wg-auth-failed")
	lost := data()
	lost[4] ^= 1
	lost[7] ^= 0xff
	add(lost, "wg-unknown-index")
	add(make([]byte, seg), "wg-bad-message")
	add(data(), "none")
	ka, _ := w.seal(w.a, nil)
	add(ka, "none")
	var b wireguard.Batch
	var got []string
	sessions := map[*wireguard.Session]bool{}
	for _, o := range b.OpenRun(w.b.Sessions(), w.now, buf, seg) {
		what := o.Reason.String()
		if o.Type == noise.TypeInitiation {
			what = "initiation"
		}
		if (o.Plain != nil) != (o.Type == noise.TypeData && o.Reason == counter.None) {
			t.Errorf("%s with plaintext %x", what, o.Plain)
		}
		got = append(got, what)
		if o.Session != nil {
			sessions[o.Session] = true
		}
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("\n got %v\nwant %v", got, want)
	}
	if len(sessions) != 2 {
		t.Errorf("%d sessions, want 2", len(sessions))
	}
	before, _ := w.b.Status(w.now, w.a.PublicKey())
	b.Report(w.now, addrC)
	after, _ := w.b.Status(w.now, w.a.PublicKey())
	if p, n := after.RxPackets-before.RxPackets, after.RxBytes-before.RxBytes; p != 5 || n != 4*seg+32 {
		t.Errorf("%d packets of %d bytes reported, want 5 of %d", p, n, 4*seg+32)
	}
	if after.Endpoint != addrC {
		t.Errorf("endpoint %v: the source was not reported", after.Endpoint)
	}
	b.OpenRun(w.b.Sessions(), w.now, nil, seg)
	b.Report(w.now, addrA) // nothing
	if st, _ := w.b.Status(w.now, w.a.PublicKey()); st.RxPackets != after.RxPackets || st.Endpoint != addrC {
		t.Error("an empty bundle was reported")
	}
}

// FuzzOpen: any bytes in any cut open nothing, have a reason each, and leave the
// session working.
func FuzzOpen(f *testing.F) {
	w := newWorld(f, nil, nil, nil)
	w.connect(f, w.a)
	msg, _ := w.seal(w.a, ipv4(40, inner4))
	f.Add(uint16(32), make([]byte, 100))
	f.Add(uint16(len(msg)), append(bytes.Clone(msg), msg...))
	f.Fuzz(func(t *testing.T, seg uint16, b []byte) {
		// Address the session, so that the fuzzer need not guess its index.
		for i := 0; seg >= 32 && i+16 <= len(b); i += int(seg) {
			noise.PutDataHeader(b[i:], w.b.peer.Session().Local(), 1<<20+noise.Data(b[i:]).Counter()>>8)
		}
		var batch wireguard.Batch
		n := 0
		for _, o := range batch.OpenRun(w.b.Sessions(), w.now, b, int(seg)) {
			n += len(o.Msg)
			if o.Plain != nil || o.Reason == counter.None && o.Type == noise.TypeData {
				t.Errorf("opened %x", o.Msg)
			}
		}
		if seg > 0 && n != len(b) {
			t.Errorf("results for %d of %d bytes", n, len(b))
		}
		w.send(t, w.a, ipv4(40, inner4))
	})
}

// TestConcurrentSeal: several workers share a session; no counter is used twice
// and all messages open, opened by several workers too.
func TestConcurrentSeal(t *testing.T) {
	w := newWorld(t, nil, nil, nil)
	w.connect(t, w.a)
	const workers, bursts, n = 4, 50, 16
	slot := wireguard.SealedLen(64, 0)
	runs := make(chan []byte, workers*bursts)
	var wg, og sync.WaitGroup
	for range workers {
		wg.Go(func() {
			var b wireguard.Batch
			for range bursts {
				buf := make([]byte, n*slot)
				s, first, r := w.a.peer.Reserve(w.now, n)
				if r != counter.None {
					t.Error(r)
					return
				}
				total := s.SealRun(&b, buf, slot, n, first, 64, 64, 0)
				w.a.peer.Sent(w.now, s, n, uint64(total), true)
				runs <- buf
			}
		})
	}
	var mu sync.Mutex
	seen := map[uint64]bool{}
	for range workers {
		og.Go(func() {
			var b wireguard.Batch
			for buf := range runs {
				for _, o := range b.OpenRun(w.b.Sessions(), w.now, buf, slot) {
					if o.Reason != counter.None {
						t.Error(o.Reason)
						continue
					}
					c := noise.Data(o.Msg).Counter()
					mu.Lock()
					if seen[c] {
						t.Errorf("counter %d was used twice", c)
					}
					seen[c] = true
					mu.Unlock()
				}
				w.b.peer.Received(w.now, w.b.peer.Session(), w.a.addr, n, uint64(len(buf)), true)
			}
		})
	}
	wg.Wait()
	close(runs)
	og.Wait()
	if len(seen) != workers*bursts*n {
		t.Errorf("%d messages opened, want %d", len(seen), workers*bursts*n)
	}
	st, _ := w.b.Status(w.now, w.a.PublicKey())
	if st.RxPackets != workers*bursts*n+1 { // and the keepalive of the handshake
		t.Errorf("%d packets counted", st.RxPackets)
	}
}

func TestNoAllocs(t *testing.T) {
	w := newWorld(t, nil, nil, nil)
	w.connect(t, w.a)
	const n = 32
	slot := wireguard.SealedLen(1420, 1420)
	buf := make([]byte, n*slot)
	var sb, ob wireguard.Batch
	allowed := w.b.peer.AllowedIPs()
	packet := ipv4(1420, inner4)
	src := w.a.addr
	check := func(name string, f func()) {
		t.Helper()
		if a := testing.AllocsPerRun(200, f); a != 0 {
			t.Errorf("%s: %v allocations", name, a)
		}
	}
	check("one", func() {
		s, first, _ := w.a.peer.Reserve(w.now, 1)
		copy(buf[16:], packet)
		k := s.Seal(buf, first, 1420, 1420)
		w.a.peer.Sent(w.now, s, 1, uint64(k), true)
		r := w.b.Sessions().Lookup(noise.Data(buf).Receiver())
		plain, why := r.Open(buf[:k], w.now)
		if why != counter.None {
			t.Fatal(why)
		}
		in, _ := wireguard.Inner(plain)
		if !allowed.AllowsSource(in) {
			t.Fatal("source refused")
		}
		r.Peer().Received(w.now, r, src, 1, uint64(k), true)
		if _, why := r.Open(buf[:k], w.now); why == counter.None {
			t.Fatal("replay accepted")
		}
	})
	check("run", func() {
		s, first, _ := w.a.peer.Reserve(w.now, n)
		total := s.SealRun(&sb, buf, slot, n, first, 1420, 1420, 1420)
		for _, o := range ob.OpenRun(w.b.Sessions(), w.now, buf[:total], slot) {
			if o.Reason != counter.None {
				t.Fatal(o.Reason)
			}
		}
		ob.Report(w.now, src)
	})
	check("no session", func() {
		if _, _, r := w.a.peer.Reserve(w.now+200*second, 1); r != counter.WGNoSession {
			t.Fatal(r)
		}
	})
}

// TestSessionPrintsNoKey: no verb shows key bytes.
func TestSessionPrintsNoKey(t *testing.T) {
	w := newWorld(t, nil, nil, nil)
	key := [32]byte{0xde, 0xad, 0xbe, 0xef}
	s := w.a.peer.Install(w.now, key, key, 1, true)
	for _, v := range []any{s, w.a.peer, w.a.Node, w.a.cfg} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
			got := fmt.Sprintf(verb, v)
			if strings.Contains(got, "deadbeef") || strings.Contains(got, "222 173") || strings.Contains(got, "0xde, 0xad") {
				t.Errorf("%s of %T shows the key: %s", verb, v, got)
			}
		}
	}
}

func BenchmarkSeal(b *testing.B) {
	for _, n := range []int{64, 512, 1500} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			w := newWorld(b, nil, nil, nil)
			w.connect(b, w.a)
			s := w.a.peer.Session()
			slot := make([]byte, wireguard.SealedLen(n, 0))
			b.SetBytes(int64(n))
			b.ReportAllocs()
			var c uint64
			for b.Loop() {
				s.Seal(slot, c, n, 0)
				c++
			}
		})
	}
}

func BenchmarkOpen(b *testing.B) {
	for _, n := range []int{64, 512, 1500} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			w := newWorld(b, nil, nil, nil)
			w.connect(b, w.a)
			s := w.a.peer.Session()
			const batch = 256
			k := wireguard.SealedLen(n, 0)
			buf := make([]byte, batch*k)
			var sb, ob wireguard.Batch
			b.SetBytes(int64(n))
			b.ReportAllocs()
			left := 0
			for i := 0; i < b.N; i++ {
				if left == 0 {
					b.StopTimer()
					first, _ := uint64(0), 0
					_, first, _ = w.a.peer.Reserve(w.now, batch)
					s.SealRun(&sb, buf, k, batch, first, n, n, 0)
					left = batch
					b.StartTimer()
					for _, o := range ob.OpenRun(w.b.Sessions(), w.now, buf, k) {
						if o.Reason != counter.None {
							b.Fatal(o.Reason)
						}
					}
				}
				left--
			}
		})
	}
}
