package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/google/pprof/profile"
	"github.com/spf13/cobra"

	"github.com/ztos/ztos/api/client"
	take "github.com/ztos/ztos/api/profile"
	"github.com/ztos/ztos/perf/flame"
	"github.com/ztos/ztos/perf/sample"
)

// topFunctions is how many functions of a profile are listed.
const topFunctions = 15

func (a *app) profileCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "profile",
		Short: "Take profiles of the running engine and draw them as flame graphs",
		Long: "Profile takes one profile after the other and writes to the folder of --dir, with mode 0600:\n" +
			"KIND.pprof for `go tool pprof` and KIND.svg, a flame graph for a browser; of trace only trace.out\n" +
			"for `go tool trace`. It lists the functions that have most, and of cpu the AEAD share: how much of\n" +
			"the time ciphers take, of all and without the kernel's.\n\n" +
			"Kinds: " + strings.Join(take.Kinds(), ", ") + ". heap and goroutine are of one moment; the others take\n" +
			"--seconds each. The engine takes one at a time, and records what block and mutex need only\n" +
			"meanwhile. No profile holds contents of memory: neither keys nor frames.",
		Example: "  ztosctl profile\n  ztosctl profile --kind cpu,heap,trace --seconds 5 -O /tmp/leaf1\n  ztosctl profile --kind cpu -o json",
		Args:    cobra.NoArgs,
	}
	f := cmd.Flags()
	names := f.StringSlice("kind", []string{"cpu"}, "what to profile, separated by commas")
	seconds := f.Int("seconds", 10, "time of each, 1 to 60")
	dir := f.StringP("dir", "O", ".", "folder for the files; made when missing")
	complete := func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return take.Kinds(), cobra.ShellCompDirectiveNoFileComp
	}
	if err := cmd.RegisterFlagCompletionFunc("kind", complete); err != nil {
		panic(err) // no such flag: a bug
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		var kinds []take.Kind
		for _, name := range *names {
			k, err := take.ParseKind(name)
			if err != nil {
				return usagef("--kind %q: want one of %s", name, strings.Join(take.Kinds(), ", "))
			}
			if slices.Contains(kinds, k) {
				return usagef("--kind: %s is there twice", name)
			}
			kinds = append(kinds, k)
		}
		d := time.Duration(*seconds) * time.Second
		if d < take.MinDuration || d > take.MaxDuration {
			return usagef("--seconds %d: want %v to %v", *seconds, take.MinDuration.Seconds(), take.MaxDuration.Seconds())
		}
		if len(kinds) == 0 {
			return usagef("--kind is empty: want some of %s", strings.Join(take.Kinds(), ", "))
		}
		return a.connected(func(c *client.Client) error { return a.profile(cmd.Context(), c, kinds, d, *dir) })
	}
	return cmd
}

// profiles is the result as JSON shows it.
type profiles struct {
	Node     string     `json:"node"`
	Profiles []profiled `json:"profiles"`
}

// profiled is one profile of them.
type profiled struct {
	Kind    string            `json:"kind"`
	Seconds float64           `json:"seconds,omitempty"` // that it covers
	File    string            `json:"file"`
	Graph   string            `json:"graph,omitempty"`
	Unit    string            `json:"unit,omitempty"`
	Shares  *sample.Shares    `json:"shares,omitempty"` // of cpu
	Top     []sample.Function `json:"top,omitempty"`
}

// profile takes the profiles and prints what is in them.
func (a *app) profile(ctx context.Context, c *client.Client, kinds []take.Kind, d time.Duration, dir string) error {
	asked, cancel := context.WithTimeout(ctx, a.timeout)
	node, err := c.Status(asked)
	cancel()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	result := profiles{Node: node.Name}
	for _, k := range kinds {
		raw, err := a.takeProfile(ctx, c, k, d)
		if err != nil {
			return err
		}
		p, err := writeProfile(raw, node.Name, k, dir)
		if err != nil {
			return err
		}
		result.Profiles = append(result.Profiles, p)
	}
	return a.print(result, func() fmt.Stringer { return line(result.text()) })
}

// takeProfile takes one profile and shows how far it is.
func (a *app) takeProfile(ctx context.Context, c *client.Client, k take.Kind, d time.Duration) ([]byte, error) {
	limit := a.timeout
	if k.Timed() {
		limit += d
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var raw bytes.Buffer
	end := func() {}
	q := take.Request{Kind: k, Duration: d, Begun: func() {
		if k.Timed() {
			end = a.countdown(k.String(), d)
		}
	}}
	err := c.Profile(ctx, q, &raw)
	end()
	return raw.Bytes(), err
}

// countdown shows that something takes d: a bar on a terminal, elsewhere one
// line. The caller ends it.
func (a *app) countdown(what string, d time.Duration) (end func()) {
	const width = 24
	if f, ok := a.err.(*os.File); !ok || !isTerminal(f) {
		a.note("%s: taking %v", what, d)
		return func() {}
	}
	stop, done := make(chan struct{}), make(chan struct{})
	start := time.Now()
	go func() {
		defer close(done)
		for tick := time.NewTicker(100 * time.Millisecond); ; {
			passed := min(time.Since(start), d)
			full := int(width * passed / d)
			fmt.Fprintf(a.err, "\r[%s%s] %s %.0f/%.0f s\033[K",
				strings.Repeat("#", full), strings.Repeat(".", width-full), what, passed.Seconds(), d.Seconds())
			select {
			case <-tick.C:
			case <-stop:
				tick.Stop()
				fmt.Fprint(a.err, "\r\033[K")
				return
			}
		}
	}()
	return func() { close(stop); <-done }
}

// isTerminal reports whether f is a device that a person looks at.
func isTerminal(f *os.File) bool {
	st, err := f.Stat()
	return err == nil && st.Mode()&os.ModeCharDevice != 0
}

// writeProfile writes the files of one profile and says what is in it.
func writeProfile(raw []byte, node string, k take.Kind, dir string) (profiled, error) {
	p := profiled{Kind: k.String(), File: filepath.Join(dir, k.String()+".pprof")}
	if !k.Stacks() {
		p.File = filepath.Join(dir, k.String()+".out")
		return p, os.WriteFile(p.File, raw, 0o600)
	}
	parsed, err := profile.ParseData(raw)
	if err != nil {
		return p, fmt.Errorf("the engine's %s profile: %w", k, err)
	}
	if err := os.WriteFile(p.File, raw, 0o600); err != nil {
		return p, err
	}
	p.Seconds = time.Duration(parsed.DurationNanos).Seconds()
	p.Unit, p.Top = sample.Unit(parsed), sample.Top(parsed, topFunctions)
	o := flame.Options{Title: node + ", " + k.String(), Subtitle: "at " + time.Unix(0, parsed.TimeNanos).Format(time.DateTime)}
	if k.Timed() {
		o.Subtitle = fmt.Sprintf("%.1f s %s", p.Seconds, o.Subtitle)
	}
	if k == take.CPU {
		s := sample.Share(parsed)
		p.Shares = &s
	}
	var svg bytes.Buffer
	if err := flame.Write(&svg, parsed, o); err != nil {
		return p, err
	}
	p.Graph = filepath.Join(dir, k.String()+".svg")
	return p, os.WriteFile(p.Graph, svg.Bytes(), 0o600)
}

// text returns the result for people.
func (r profiles) text() string {
	var b strings.Builder
	for i, p := range r.Profiles {
		if i > 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, "%s of %s: %s", p.Kind, r.Node, p.File)
		if p.Graph != "" {
			fmt.Fprintf(&b, ", %s", p.Graph)
		}
		b.WriteByte('\n')
		if p.Graph == "" {
			continue
		}
		b.WriteString(p.table().String())
		if s := p.Shares; s != nil && s.Total > 0 {
			fmt.Fprintf(&b, "%d samples in %.1f s:", s.Samples, p.Seconds)
			for _, f := range sample.Families {
				fmt.Fprintf(&b, " %s %.1f %%", f, 100*s.Families[f.String()])
			}
			fmt.Fprintf(&b, "\nAEAD %.1f %% of all, %.1f %% without the kernel\n", 100*s.AEAD, 100*s.AEADOwn)
		}
	}
	return strings.TrimSuffix(b.String(), "\n") // line ends it
}

// table lists the top functions.
func (p profiled) table() *table {
	t := newTable("nothing was seen", "FLAT>", "CUM>", "FAMILY", "FUNCTION")
	for _, f := range p.Top {
		t.add(sample.Format(f.Flat, p.Unit), sample.Format(f.Cum, p.Unit), sample.Of(f.Name), f.Name)
	}
	return t
}
