package check

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
)

// ctl runs ztosctl against an engine and returns what it printed. Its exit code is
// 0 without an error; with one that is an *exec.ExitError the caller may want it.
func (b *Bench) ctl(ctx context.Context, engine string, args ...string) (string, error) {
	if b.Ctl == "" {
		return "", errors.New("check: no ztosctl was named")
	}
	ctx, cancel := context.WithTimeout(ctx, 2*callTimeout)
	defer cancel()
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(ctx, b.Ctl, append([]string{"--socket", b.Lab.Socket(engine)}, args...)...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("%s: ztosctl %v: %w: %s", engine, args, err, tail(errs.String(), 300))
	}
	return out.String(), nil
}

// ctlJSON runs ztosctl with -o json and decodes what it printed into v.
func (b *Bench) ctlJSON(ctx context.Context, engine string, v any, args ...string) error {
	out, err := b.ctl(ctx, engine, append(args, "-o", "json")...)
	if err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(out), v); err != nil {
		return fmt.Errorf("%s: ztosctl %v: %w: %s", engine, args, err, tail(out, 300))
	}
	return nil
}

// Versions asks every engine for its version, by ztosctl, and returns them by node.
func (b *Bench) Versions(ctx context.Context) (map[string]string, error) {
	out := map[string]string{}
	for _, e := range b.Engines() {
		var v struct{ Engine string }
		if err := b.ctlJSON(ctx, e, &v, "version"); err != nil {
			return out, err
		}
		if v.Engine == "" {
			return out, fmt.Errorf("%s does not say its version", e)
		}
		out[e] = v.Engine
	}
	return out, nil
}
