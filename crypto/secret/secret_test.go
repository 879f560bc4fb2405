package secret_test

import (
	"bytes"
	"encoding/gob"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/ztos/ztos/crypto/secret"
)

// holder is what a careless package looks like: the key is in fields of both
// kinds, by value and by pointer.
type holder struct {
	Name     string
	Exported secret.Key
	Fixed    secret.Key32
	hidden   secret.Key
	fixed    secret.Key32
	ptr      *secret.Key
	list     []secret.Key
	m        map[string]secret.Key32
}

func TestNothingLeaks(t *testing.T) {
	raw := [32]byte{}
	for i := range raw {
		raw[i] = byte(0xa0 + i)
	}
	k, k32 := secret.New(raw[:]), secret.New32(&raw)
	h := holder{"x", k, k32, k, k32, &k, []secret.Key{k}, map[string]secret.Key32{"a": k32}}

	var out []string
	values := []any{k, k32, &k, &k32, h, &h, []any{k, k32}, struct{ secret.Key }{k}}
	for _, v := range values {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "% x", "%#x", "%d", "%o", "%b", "%c", "%U", "%T", "%p", "%t", "%08.3f"} {
			out = append(out, fmt.Sprintf(verb, v))
		}
		out = append(out, fmt.Sprint(v), fmt.Sprintln(v), fmt.Errorf("wrapped: %v", v).Error())
		j, err := json.Marshal(v)
		if err != nil {
			t.Fatalf("json of %T: %v", v, err)
		}
		out = append(out, string(j))
		var b bytes.Buffer
		slog.New(slog.NewTextHandler(&b, nil)).Info("m", "k", v)
		slog.New(slog.NewJSONHandler(&b, nil)).Info("m", "k", v)
		out = append(out, b.String())
	}
	var b bytes.Buffer
	if err := gob.NewEncoder(&b).Encode(struct{ K secret.Key }{k}); err != nil {
		t.Fatal(err)
	}
	out = append(out, b.String())
	text, err := k.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	out = append(out, string(text), k.String(), k.GoString(), k32.String(), k32.GoString(), k.LogValue().String())

	for _, s := range out {
		for _, bad := range []string{
			string(raw[:4]), hex.EncodeToString(raw[:4]), "A0A1A2A3", "a0 a1 a2", "A0 A1 A2",
			"160 161 162", "160, 161", "0xa0, 0xa1", "240 241 242", "10100000 10100001", "oKGio",
		} {
			if strings.Contains(s, bad) {
				t.Errorf("leaks %q: %q", bad, s)
			}
		}
	}
	if got := fmt.Sprintf("%v %x %#v", k, k32, k); got != "[redacted] [redacted] [redacted]" {
		t.Errorf("got %q", got)
	}
}

func TestEqual(t *testing.T) {
	a := secret.New([]byte("0123456789abcdef"))
	for _, tt := range []struct {
		name string
		b    secret.Key
		want bool
	}{
		{"same bytes", secret.New([]byte("0123456789abcdef")), true},
		{"copy", a, true},
		{"one bit off", secret.New([]byte("0123456789abcdeg")), false},
		{"shorter", secret.New([]byte("0123456789abcde")), false},
		{"empty", secret.Key{}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := a.Equal(tt.b); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
	if !(secret.Key{}).Equal(secret.Key{}) {
		t.Error("two empty keys differ")
	}
	x, y := secret.New32(&[32]byte{1}), secret.New32(&[32]byte{1})
	if !x.Equal(y) || x.Equal(secret.New32(&[32]byte{2})) || x.Equal(secret.Key32{}) {
		t.Error("Key32.Equal")
	}
}

func TestWipeReachesCopies(t *testing.T) {
	k := secret.New([]byte{1, 2, 3, 4})
	c := k
	b := k.Bytes()
	k.Wipe()
	if !bytes.Equal(b, make([]byte, 4)) {
		t.Errorf("bytes after Wipe: % x", b)
	}
	if c.Valid() || c.Len() != 0 || c.Bytes() != nil || c.Fingerprint() != "" {
		t.Error("a copy survived Wipe")
	}
	k.Wipe()            // again
	secret.Key{}.Wipe() // and of nothing
	if (secret.Key32{}).Array() != nil {
		t.Error("the empty Key32 has an array")
	}
}

func TestKey32(t *testing.T) {
	raw := [32]byte{31: 7}
	k := secret.New32(&raw)
	raw[31] = 8
	if k.Array()[31] != 7 {
		t.Error("New32 did not copy")
	}
	if k2, ok := k.Key().Key32(); !ok || !k2.Equal(k) {
		t.Error("Key and back")
	}
	if _, ok := secret.New(raw[:31]).Key32(); ok {
		t.Error("31 bytes became a Key32")
	}
}

// TestFingerprint pins the format. The value is that of
// printf 'ztos key fingerprint v1\0\1\2\3' | sha256sum
func TestFingerprint(t *testing.T) {
	const want = "5e0838b838fb90f9"
	if got := secret.New([]byte{1, 2, 3}).Fingerprint(); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
