package main

import (
	"strings"
	"testing"

	"github.com/ztos/ztos/api/nodetest"
)

// TestVerifyIsolation: the report, and an exit code that scripts can go by.
func TestVerifyIsolation(t *testing.T) {
	n := nodetest.New()
	socket := serve(t, n)
	for _, tt := range []struct {
		name string
		code int
		errs string
	}{
		{"verify isolation", exitOK, ""},
		{"verify isolation breached", exitFailure, "ztosctl: 14 entries lead from one tenant to another\n"},
	} {
		for _, format := range []string{"table", "json"} {
			code, out, errs := ztosctl(t, "", "verify", "isolation", "--socket", socket, "-o", format)
			if code != tt.code || errs != tt.errs {
				t.Errorf("%s: exit %d, %q; want %d, %q", tt.name, code, errs, tt.code, tt.errs)
			}
			golden(t, tt.name+"."+format, out)
		}
		n.Breach()
	}
	if code, _, errs := ztosctl(t, "", "verify", "--socket", socket); code != exitUsage || !strings.Contains(errs, "say what: isolation") {
		t.Errorf("verify alone: exit %d, %q", code, errs)
	}
}
