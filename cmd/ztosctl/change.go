package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/ztos/ztos/api/client"
	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/config/status"
)

// result is what a command that changes something prints.
type result struct {
	Done       string `json:"done"`
	Generation uint64 `json:"generation,omitempty"`
	Flushed    *int64 `json:"flushed,omitempty"`
}

// done prints what was done.
func (a *app) done(r result) error {
	return a.print(r, func() fmt.Stringer { return line(r.Done) })
}

func (a *app) applyCommand() *cobra.Command {
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "apply FILE",
		Short: "Make a configuration the one in force, all or nothing",
		Long: "Apply sends FILE (- is stdin) to the engine, which checks all of it, key files and MTU too, and\n" +
			"applies it without losing frames of what did not change. The engine's own file stays as it\n" +
			"is: a restart or reload goes back to it.",
		Example: "  ztosctl apply leaf1.yaml --dry-run\n  ztosctl apply leaf1.yaml",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			doc, err := a.read(args[0])
			if err != nil {
				return err
			}
			return a.engine(cmd, func(ctx context.Context, c *client.Client) error {
				gen, err := c.Apply(ctx, doc, dryRun)
				if err != nil {
					return named(err, args[0])
				}
				if dryRun {
					return a.done(result{Done: fmt.Sprintf("valid; generation %d stays in force", gen), Generation: gen})
				}
				return a.done(result{Done: fmt.Sprintf("applied as generation %d", gen), Generation: gen})
			})
		},
	}
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "only check it")
	return cmd
}

// read returns the content of a file, of stdin for "-".
func (a *app) read(file string) ([]byte, error) {
	in := a.in
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	doc, err := io.ReadAll(io.LimitReader(in, config.MaxSize+1))
	if err == nil && len(doc) > config.MaxSize {
		err = fmt.Errorf("%s is larger than %d bytes", file, config.MaxSize)
	}
	return doc, err
}

// named puts the file's name into faults, which the engine does not know.
func named(err error, file string) error {
	if file == "-" {
		file = "stdin"
	}
	if fs, ok := errors.AsType[config.Faults](err); ok {
		for i := range fs {
			fs[i].File = file
		}
		return fs
	}
	return err
}

func (a *app) reloadCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "reload",
		Short:   "Make the engine read its configuration file again, as SIGHUP does",
		Example: "  ztosctl reload",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.engine(cmd, func(ctx context.Context, c *client.Client) error {
				gen, err := c.Reload(ctx)
				if err != nil {
					return err
				}
				return a.done(result{Done: fmt.Sprintf("applied as generation %d", gen), Generation: gen})
			})
		},
	}
}

func (a *app) fdbCommand() *cobra.Command {
	var filter func() (status.MACFilter, error)
	flush := &cobra.Command{
		Use:     "flush",
		Short:   "Forget learned MAC addresses; static ones stay",
		Example: "  ztosctl fdb flush --vni 10100\n  ztosctl fdb flush --vni 10100 --mac 02:00:00:00:00:01\n  ztosctl fdb flush --all",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			f, err := filter()
			if err != nil {
				return err
			}
			if all, err := cmd.Flags().GetBool("all"); err != nil || all != (f == status.MACFilter{}) {
				return usagef("say which: --vni, --mac, --port, or --all alone")
			}
			return a.engine(cmd, func(ctx context.Context, c *client.Client) error {
				n, err := c.FlushFDB(ctx, f)
				if err != nil {
					return err
				}
				return a.done(result{Done: fmt.Sprintf("forgot %d MAC addresses", n), Flushed: &n})
			})
		},
	}
	filter = macFilter(flush)
	flush.Flags().Bool("all", false, "every learned MAC address of the node")
	return group("fdb", "Change the FDB", "  ztosctl fdb flush --vni 10100", flush)
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Versions of this program and of the engine",
		Example: "  ztosctl version",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			v := struct {
				Ztosctl string `json:"ztosctl"`
				Go      string `json:"go"`
				Engine  string `json:"engine"` // empty: it does not answer
			}{Ztosctl: version, Go: runtime.Version()}
			err := a.engine(cmd, func(ctx context.Context, c *client.Client) (err error) {
				v.Engine, err = c.Version(ctx)
				return err
			})
			if err != nil {
				a.note("engine: %v", err) // this program's version is an answer all the same
			}
			return a.print(v, func() fmt.Stringer {
				t := newTable("", "PROGRAM", "VERSION")
				t.add("ztosctl", v.Ztosctl+" "+v.Go)
				t.add("ztos-engine", v.Engine)
				return t
			})
		},
	}
}

func (a *app) completionCommand() *cobra.Command {
	return &cobra.Command{
		Use:       "completion bash|zsh|fish",
		Short:     "Print a completion script for a shell",
		Example:   "  source <(ztosctl completion bash)",
		Args:      cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs),
		ValidArgs: []string{"bash", "zsh", "fish"},
		RunE: func(cmd *cobra.Command, args []string) error {
			switch args[0] {
			case "bash":
				return cmd.Root().GenBashCompletionV2(a.out, true)
			case "zsh":
				return cmd.Root().GenZshCompletion(a.out)
			}
			return cmd.Root().GenFishCompletion(a.out, true)
		},
	}
}
