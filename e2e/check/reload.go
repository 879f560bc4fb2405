package check

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/ztos/ztos/api/ztosv1"
	"github.com/ztos/ztos/config"
)

// Reload is the result of Bench.Reload.
type Reload struct {
	Leaf    string `json:"leaf"`
	Applied int    `json:"applied"` // configurations taken, each a new generation
	Refused int    `json:"refused"` // configurations refused, none of which changed anything
	// What was wrong with the refused document: all faults at once.
	Faults []string `json:"faults"`
	Stream Stream   `json:"stream"`
}

// Reload changes the configuration of the first tenant's second leaf while
// numbered datagrams flow to a host there: by SIGHUP and by the API, a bridge
// domain comes and goes that they have nothing to do with. None may be lost. Documents with faults
// must be refused with all of them, and change nothing.
func (b *Bench) Reload(ctx context.Context) (r Reload, err error) {
	h := b.Topo.Hosts(b.Topo.Tenants[0].Name)
	r.Leaf = h[1].Host.Port.Node
	path := b.Lab.ConfigPath(r.Leaf)
	original, err := os.ReadFile(path)
	if err != nil {
		return r, fmt.Errorf("check: %w", err)
	}
	more, err := withDomain(original)
	if err != nil {
		return r, err
	}
	before, err := b.losses(ctx)
	if err != nil {
		return r, err
	}
	s, err := b.stream(h[0].Name, h[1].Name, 1000, 300, 0)
	if err != nil {
		return r, err
	}
	stepErr := s.flowing(ctx, 200, 5*time.Second)
	if stepErr == nil {
		stepErr = b.reloads(ctx, &r, path, original, more)
	}
	stepErr = errors.Join(stepErr, os.WriteFile(path, original, 0o600))
	r.Stream, err = s.stop()
	if err := errors.Join(stepErr, err, r.Stream.lossless()); err != nil {
		return r, errors.Join(err, b.whatWasLost(ctx, before))
	}
	return r, nil
}

// reloads is the steps of Reload.
func (b *Bench) reloads(ctx context.Context, r *Reload, path string, original, more []byte) error {
	gen, err := b.generation(ctx, r.Leaf)
	if err != nil {
		return err
	}
	hup := func(doc []byte) error {
		if err := os.WriteFile(path, doc, 0o600); err != nil {
			return fmt.Errorf("check: %w", err)
		}
		pid, err := b.enginePID(r.Leaf)
		if err != nil {
			return err
		}
		return syscall.Kill(pid, syscall.SIGHUP)
	}
	apply := func(doc []byte) error {
		return b.call(ctx, r.Leaf, func(ctx context.Context, n *node) error {
			_, err := n.ApplyConfig(ctx, &ztosv1.ApplyConfigRequest{Document: doc})
			return err
		})
	}
	broken := breakConfig(original)
	for _, step := range []struct {
		what  string
		taken bool
		do    func() error
	}{
		{"SIGHUP with a new bridge domain", true, func() error { return hup(more) }},
		{"SIGHUP without it", true, func() error { return hup(original) }},
		{"API with a new bridge domain", true, func() error { return apply(more) }},
		{"API without it", true, func() error { return apply(original) }},
		{"SIGHUP with a faulty document", false, func() error { return hup(broken) }},
		{"API with a faulty document", false, func() error { return r.refusal(apply(broken)) }},
		{"API with a key file that is not there", false, func() error {
			return r.refusal(apply(bytes.Replace(original, []byte(".0.sak"), []byte(".absent.sak"), 1)))
		}},
	} {
		if err := step.do(); err != nil {
			return fmt.Errorf("%s: %w", step.what, err)
		}
		if !step.taken {
			pause(ctx, 300*time.Millisecond)
			now, err := b.generation(ctx, r.Leaf)
			if err != nil {
				return err
			}
			if now != gen {
				return fmt.Errorf("%s: generation went from %d to %d, want no change", step.what, gen, now)
			}
			r.Refused++
			continue
		}
		err := eventually(ctx, 5*time.Second, func() error {
			now, err := b.generation(ctx, r.Leaf)
			if err == nil && now == gen {
				err = fmt.Errorf("%s: still generation %d after 5 s, want a newer one", step.what, gen)
			}
			if err == nil {
				gen = now
			}
			return err
		})
		if err != nil {
			return err
		}
		r.Applied++
	}
	return nil
}

// refusal wants err to be a refusal with faults, and notes them.
func (r *Reload) refusal(err error) error {
	if err == nil {
		return errors.New("accepted, want a refusal")
	}
	var st interface{ GRPCStatus() *status.Status }
	if !errors.As(err, &st) || st.GRPCStatus().Code() != codes.InvalidArgument {
		return fmt.Errorf("want INVALID_ARGUMENT with faults: %w", err)
	}
	first := len(r.Faults) == 0
	for _, d := range st.GRPCStatus().Details() {
		list, ok := d.(*ztosv1.FaultList)
		if !ok {
			continue
		}
		for _, f := range list.Faults {
			r.Faults = append(r.Faults, f.Path+": "+f.Problem)
		}
	}
	for _, path := range brokenPaths {
		if first && !strings.Contains(strings.Join(r.Faults, "\n"), path) {
			return fmt.Errorf("the refusal lists %q, want also a fault at %s", r.Faults, path)
		}
	}
	return nil
}

// brokenPaths are where breakConfig puts its faults.
var brokenPaths = []string{"no-such-key", "storm-defaults", "underlay.mtu"}

// breakConfig returns the document with three faults in different places.
func breakConfig(doc []byte) []byte {
	var out []string
	for line := range strings.Lines(string(doc)) {
		switch {
		case strings.HasPrefix(strings.TrimSpace(line), "mtu:") && !strings.Contains(strings.Join(out, ""), "mtu: 7"):
			line = line[:strings.Index(line, "mtu:")] + "mtu: 7\n" // of underlay, which comes first
		case strings.HasPrefix(line, "storm-defaults:"):
			continue
		}
		out = append(out, line)
	}
	return []byte(strings.Join(out, "") + "storm-defaults: {broadcast: many}\nno-such-key: true\n")
}

// withDomain returns the document with one more bridge domain.
func withDomain(doc []byte) ([]byte, error) {
	cfg, err := config.Parse(doc, "")
	if err != nil {
		return nil, err
	}
	cfg.BridgeDomains = append(cfg.BridgeDomains, config.BridgeDomain{VNI: 77777, Name: "passing", Protection: config.ProtectNone})
	return config.Marshal(cfg)
}

// generation returns the generation of the configuration in force.
func (b *Bench) generation(ctx context.Context, name string) (gen uint64, err error) {
	err = b.call(ctx, name, func(ctx context.Context, n *node) error {
		r, err := n.GetStatus(ctx, &ztosv1.GetStatusRequest{})
		gen = r.GetGeneration()
		return err
	})
	return gen, err
}
