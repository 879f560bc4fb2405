package guard_test

import (
	"slices"
	"strings"
	"testing"
)

// layerOf maps a folder to its layer; the longest folder that fits a package
// rules. Imports go to a lower layer or stay in their own, and features of layer
// 2 do not know each other.
//
//	0 bytes      primitives and views; nothing of ours below them
//	1 frame      how frames come, wait and go
//	2 features   what is done with a frame; pure protocols
//	3 fabric     features put together; typed configuration
//	4 control    wanted state becomes tables
//	5 outside    programs, APIs, labs, measurements
var layerOf = map[string]int{
	"crypto":         0,
	"engine/pkt":     0,
	"engine/wire":    0,
	"engine/counter": 0,

	"engine": 1,

	"l2":        2,
	"l3":        2,
	"vxlan":     2,
	"macsec":    2,
	"wireguard": 2,
	"policy":    2,
	"qos":       2,

	"fabric":     3,
	"fabric/bfd": 2,
	"config":     3,
	"bgp":        3,
	"bgp/evpn":   2,
	"identity":   3,

	"control": 4,

	"api":      5,
	"cmd":      5,
	"lab":      5,
	"perf":     5,
	"e2e":      5,
	"internal": 5,
	"scripts":  5,
}

const featureLayer = 2

// apart are folders outside the layers: they know nothing of the engine and the
// engine nothing of them. Only programs import them.
var apart = []string{"ipxe", "image", "deploy"}

// fences name the only packages that may import a module, test files aside.
var fences = map[string][]string{
	"github.com/osrg/gobgp":           {"bgp"},
	"github.com/vishvananda/netlink":  {"lab/netplumb", "fabric/hostnet"},
	"github.com/cilium/ebpf":          {"engine/port/afxdp", "engine/underlay/afxdp"},
	"gvisor.dev/gvisor":               {"fabric/hoststack"},
	"github.com/gopacket/gopacket":    {"cmd/ztosctl", "e2e", "perf"},
	"golang.zx2c4.com/wireguard":      {"wireguard", "perf/peers", "e2e"},
	"github.com/spf13/cobra":          {"cmd"},
	"github.com/goccy/go-yaml":        {"config", "lab"},
	"github.com/prometheus":           {"api", "cmd", "control"},
	"google.golang.org/grpc":          {"api", "cmd", "control", "e2e", "lab", "perf"},
	"google.golang.org/protobuf":      {"api", "cmd", "e2e", "lab", "perf"},
	"github.com/gaissmai/bart":        {"engine/table", "wireguard"},
	"golang.org/x/crypto":             {"crypto", "wireguard", "perf", "e2e", "lab"},
	"golang.org/x/image":              {"perf/chart"},
	"gonum.org/v1/plot":               {"perf"},
	"github.com/google/pprof":         {"perf", "api/profile", "cmd/ztosctl"},
	"github.com/google/gopacket":      nil, // abandoned; gopacket/gopacket goes on
	"golang.org/x/exp":                nil, // no promise of stability
	"github.com/inconshreveable":      nil,
	"github.com/ztos/ztos/internal":   nil, // tests only
	"github.com/ztos/ztos/perf/peers": nil, // programs of their own
}

// under reports whether path is folder or below it.
func under(path, folder string) bool {
	return path == folder || strings.HasPrefix(path, folder+"/")
}

// layer returns the layer of a package, and the folder that decided it.
func layer(rel string) (n int, folder string, ok bool) {
	for f, l := range layerOf {
		if under(rel, f) && len(f) > len(folder) {
			n, folder, ok = l, f, true
		}
	}
	return n, folder, ok
}

// isApart reports whether rel belongs to a folder outside the layers.
func isApart(rel string) bool {
	return slices.ContainsFunc(apart, func(a string) bool { return under(rel, a) })
}

// helper reports whether a package holds helpers for tests, by its name, as
// net/http/httptest does. It may do what tests may, and only tests import it.
func helper(rel string) bool { return strings.HasSuffix(rel, "test") }

func TestLayers(t *testing.T) {
	for _, p := range packages(t) {
		rel := p.rel()
		n, folder, ok := layer(rel)
		if !ok && !isApart(rel) {
			t.Errorf("%s: its folder has no layer; give it one in layerOf", rel)
			continue
		}
		for _, imp := range p.Imports {
			dep, ours := strings.CutPrefix(imp, modulePath+"/")
			if !ours {
				continue
			}
			m, depFolder, _ := layer(dep)
			switch {
			case helper(dep) && !helper(rel):
				t.Errorf("%s imports %s: only tests do", rel, dep)
			case isApart(rel):
				if !isApart(dep) {
					t.Errorf("%s imports %s: %s know nothing of the engine", rel, dep, apart)
				}
			case isApart(dep):
				if !under(rel, "cmd") {
					t.Errorf("%s imports %s: only programs import it", rel, dep)
				}
			case m > n:
				t.Errorf("%s (layer %d) imports %s (layer %d): imports go downward only", rel, n, dep, m)
			case m == n && n == featureLayer && folder != depFolder:
				t.Errorf("%s imports %s: features do not import each other", rel, dep)
			case under(dep, "cmd"):
				t.Errorf("%s imports %s: programs are not imported", rel, dep)
			}
		}
	}
}

func TestFences(t *testing.T) {
	for _, p := range packages(t) {
		rel := p.rel()
		if helper(rel) {
			continue
		}
		for _, imp := range p.Imports {
			for module, allowed := range fences {
				if !under(imp, module) {
					continue
				}
				ok := slices.ContainsFunc(allowed, func(a string) bool { return under(rel, a) })
				if !ok {
					t.Errorf("%s imports %s: only %q may", rel, imp, allowed)
				}
			}
		}
	}
}

// TestStandardLibraryFences watches what of the standard library the forwarding
// layers may use.
func TestStandardLibraryFences(t *testing.T) {
	forbidden := []string{"log", "log/slog", "os/exec", "net/http", "encoding/json", "flag", "context"}
	for _, p := range packages(t) {
		rel := p.rel()
		if n, _, ok := layer(rel); !ok || n > featureLayer || helper(rel) {
			continue
		}
		for _, imp := range p.Imports {
			if rel == "crypto/secret" && imp == "log/slog" {
				continue // names the interface by which keys redact themselves
			}
			if slices.Contains(forbidden, imp) {
				t.Errorf("%s imports %s: layers 0 to 2 neither log nor serve nor wait for others", rel, imp)
			}
		}
	}
}

// pure are protocols as pure code: no clock, no socket, no goroutine to wait for,
// and no module of others.
var pure = []string{"bgp/evpn", "fabric/bfd"}

// TestPure watches what pure protocols import.
func TestPure(t *testing.T) {
	forbidden := []string{"time", "net", "sync", "sync/atomic", "os", "syscall", "math/rand", "math/rand/v2"}
	for _, p := range packages(t) {
		rel := p.rel()
		if !slices.ContainsFunc(pure, func(f string) bool { return under(rel, f) }) {
			continue
		}
		for _, imp := range p.Imports {
			module, _, _ := strings.Cut(imp, "/")
			ours := strings.HasPrefix(imp, modulePath+"/")
			if slices.Contains(forbidden, imp) || strings.Contains(module, ".") && !ours {
				t.Errorf("%s imports %s: it is a pure protocol", rel, imp)
			}
		}
	}
}

func TestLayerOf(t *testing.T) {
	for _, tt := range []struct {
		rel    string
		want   int
		folder string
	}{
		{"engine/wire", 0, "engine/wire"},
		{"engine/port/afpacket", 1, "engine"},
		{"macsec/mka", 2, "macsec"},
		{"bgp/evpn", 2, "bgp/evpn"},
		{"bgp", 3, "bgp"},
		{"fabric/bfd", 2, "fabric/bfd"},
		{"fabric/bfdnet", 3, "fabric"},
		{"fabric/hoststack", 3, "fabric"},
		{"cmd/ztosctl", 5, "cmd"},
	} {
		if n, folder, ok := layer(tt.rel); !ok || n != tt.want || folder != tt.folder {
			t.Errorf("%s: layer %d by %q (%v), want %d by %q", tt.rel, n, folder, ok, tt.want, tt.folder)
		}
	}
	if _, folder, ok := layer("crypton/x"); ok {
		t.Errorf("crypton/x has a layer, by %q", folder)
	}
}
