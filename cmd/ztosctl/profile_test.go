package main

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/pprof/profile"

	"github.com/ztos/ztos/api/nodetest"
)

// TestProfile takes every kind: each file is what its name says, and the table
// and the JSON tell of them.
func TestProfile(t *testing.T) {
	socket := serve(t, nodetest.New())
	dir := filepath.Join(t.TempDir(), "new")
	args := []string{"profile", "--socket", socket, "--seconds", "1", "-O", dir}
	code, out, errs := ztosctl(t, "", append(args, "--kind", "cpu,heap,block,mutex,goroutine,trace", "-o", "json")...)
	if code != exitOK || !strings.Contains(errs, "cpu: taking 1s\n") || strings.Contains(errs, "heap") {
		t.Fatalf("exit %d, %s", code, errs)
	}
	var r profiles
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if r.Node != "leaf1" || len(r.Profiles) != 6 {
		t.Fatalf("got %s", out)
	}
	for _, p := range r.Profiles {
		if st, err := os.Stat(p.File); err != nil || st.Mode() != 0o600 || st.Size() == 0 {
			t.Errorf("%s: %v, %v", p.File, st, err)
		}
		if p.Kind == "trace" {
			if p.File != filepath.Join(dir, "trace.out") || p.Graph != "" {
				t.Errorf("got %+v", p)
			}
			continue
		}
		raw, err := os.ReadFile(p.File)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := profile.ParseData(raw); err != nil {
			t.Errorf("%s: %v", p.File, err)
		}
		wellFormed(t, p.Graph)
		if (p.Kind == "cpu") != (p.Shares != nil) {
			t.Errorf("%s: shares %v", p.Kind, p.Shares)
		}
		if p.Kind == "goroutine" && len(p.Top) == 0 {
			t.Error("there is no goroutine")
		}
	}
	code, out, _ = ztosctl(t, "", append(args, "--kind", "goroutine")...)
	if code != exitOK || !strings.HasPrefix(out, "goroutine of leaf1: "+dir+"/goroutine.pprof, ") ||
		!strings.Contains(out, "FLAT  CUM  FAMILY") || strings.HasSuffix(out, "\n\n") {
		t.Errorf("exit %d, %s", code, out)
	}
	code, _, errs = ztosctl(t, "", "profile", "--socket", socket, "--kind", "heap", "-O", filepath.Join(dir, "trace.out", "x"))
	if code != exitFailure || !strings.Contains(errs, "not a directory") {
		t.Errorf("a folder that cannot be made: exit %d, %s", code, errs)
	}
}

// wellFormed fails the test when a file is not XML from beginning to end.
func wellFormed(t *testing.T, file string) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for d := xml.NewDecoder(f); ; {
		_, err := d.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
	}
}
