package guard_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/google/pprof/profile"
)

// TestProfileOfEngine: the profile that the engine is built with is small, names
// no machine, and is of this engine: it has the workers of a leaf and of a spine,
// and most of the functions that it names are there still.
func TestProfileOfEngine(t *testing.T) {
	all := files(t)
	i := slices.IndexFunc(all, func(f file) bool { return f.path == "cmd/ztos-engine/default.pgo" })
	if i < 0 {
		t.Fatal("there is no cmd/ztos-engine/default.pgo; `make pgo` writes it")
	}
	if len(all[i].text) > 1<<20 {
		t.Errorf("%d bytes, more than 1 MiB", len(all[i].text))
	}
	p, err := profile.ParseData(all[i].text)
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Mapping) > 0 || p.TimeNanos != 0 || len(p.Comments) > 0 {
		t.Error("it tells of the machine that it was taken on")
	}
	ours, gone := 0, []string{}
	found := map[string]bool{}
	for _, f := range p.Function {
		if f.Filename != "" || f.StartLine < 0 {
			t.Errorf("%s: file %q, line %d", f.Name, f.Filename, f.StartLine)
		}
		rest, isOurs := strings.CutPrefix(f.Name, modulePath+"/")
		if !isOurs {
			continue
		}
		ours++
		dir, name, _ := strings.Cut(rest[strings.LastIndexByte(rest, '/')+1:], ".")
		dir = rest[:strings.LastIndexByte(rest, '/')+1] + dir
		found[dir] = true
		if !declared(all, dir, name) {
			gone = append(gone, f.Name)
		}
	}
	for _, dir := range []string{"fabric", "macsec", "vxlan", "wireguard", "crypto/aead"} {
		if !found[dir] {
			t.Errorf("it has no function of %s", dir)
		}
	}
	if 2*len(gone) > ours {
		t.Errorf("%d of %d functions are not there any more; `make pgo` takes it anew: %v", len(gone), ours, gone)
	}
}

// declared reports whether a folder's Go files have a function of the name that
// a profile uses: "f", "(*T).m", "T.m", "f.func1", "f[...]".
func declared(all []file, dir, name string) bool {
	name = strings.NewReplacer("(*", "", ")", "").Replace(name)
	name, _, _ = strings.Cut(name, "[")
	parts := strings.Split(name, ".")
	for n := len(parts); n > 0 && strings.HasPrefix(parts[n-1], "func"); n-- {
		parts = parts[:n-1]
	}
	if len(parts) == 0 {
		return false
	}
	last := parts[min(len(parts)-1, 1)]
	return slices.ContainsFunc(all, func(f file) bool {
		folder, base, _ := strings.Cut(strings.TrimPrefix(f.path, dir), "/")
		return strings.HasPrefix(f.path, dir+"/") && folder == "" && !strings.Contains(base, "/") && strings.HasSuffix(base, ".go") &&
			(bytes.Contains(f.text, []byte(") "+last+"(")) || bytes.Contains(f.text, []byte("func "+last+"(")) || bytes.Contains(f.text, []byte("func "+last+"[")))
	})
}
