package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/ztos/ztos/api/client"
	"github.com/ztos/ztos/config"
)

// Exit codes. Stable: scripts rely on them.
const (
	exitOK          = 0
	exitFailure     = 1 // the operation failed
	exitUsage       = 2 // the command line is wrong
	exitUnreachable = 3 // no engine answers on the socket
	exitRefused     = 4 // a document or request was refused by validation
)

// defaultSocket is where the engine listens unless its configuration says
// otherwise.
const defaultSocket = "/run/ztos/engine.sock"

// app is one run of the program.
type app struct {
	in       io.Reader
	out, err io.Writer

	socket  string
	format  string // table or json
	timeout time.Duration
}

// usageError is a wrong command line, found after cobra accepted it.
type usageError struct{ text string }

// Error returns what is wrong.
func (e usageError) Error() string { return e.text }

func usagef(format string, args ...any) error { return usageError{fmt.Sprintf(format, args...)} }

// ranError marks an error of a command that was understood; all other errors are
// cobra's, about the command line.
type ranError struct{ err error }

// Error returns the error's text.
func (e ranError) Error() string { return e.err.Error() }

// Unwrap returns the error.
func (e ranError) Unwrap() error { return e.err }

// run runs one command line and returns the exit code.
func run(args []string, in io.Reader, out, errw io.Writer) int {
	a := &app{in: in, out: out, err: errw}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	root := a.root()
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errw)
	cmd, err := root.ExecuteContextC(ctx)
	return a.explain(cmd, err)
}

// explain prints err and returns the exit code that stands for it.
func (a *app) explain(cmd *cobra.Command, err error) int {
	if err == nil {
		return exitOK
	}
	var ran ranError
	var usage usageError
	if !errors.As(err, &ran) || errors.As(err, &usage) {
		fmt.Fprintf(a.err, "ztosctl: %v; see '%s --help'\n", err, cmd.CommandPath())
		return exitUsage
	}
	if fs, ok := errors.AsType[config.Faults](err); ok {
		for _, f := range fs {
			fmt.Fprintf(a.err, "ztosctl: %s\n", f)
		}
		return exitRefused
	}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() > 0 {
		return exit.ExitCode() // lab exec: the command has said what is wrong
	}
	fmt.Fprintf(a.err, "ztosctl: %s\n", strings.ReplaceAll(strings.TrimSpace(ran.Error()), "\n", "; "))
	if errors.Is(err, client.ErrUnreachable) {
		return exitUnreachable
	}
	return exitFailure
}

const rootLong = `ztosctl looks at a node of the fabric and changes it, over the node's API socket.

Results go to stdout as aligned tables, or with -o json as JSON; errors and
progress go to stderr.

Exit codes:
  0  done
  1  the operation failed
  2  the command line is wrong
  3  no engine answers on the socket
  4  a configuration or a request was refused by validation
lab exec exits with the code of the command it ran.`

// root returns the whole command tree.
func (a *app) root() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "ztosctl",
		Short: "Look at a ZTOS node and change it",
		Long:  rootLong,
		Example: `  ztosctl show status
  ztosctl show drops -o json
  ztosctl apply leaf1.yaml --dry-run
  ZTOS_SOCKET=/run/ztos-lab/standard/leaf1/engine.sock ztosctl show fdb`,
		SilenceErrors:     true,
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
		PersistentPreRunE: func(*cobra.Command, []string) error {
			if a.format != "table" && a.format != "json" {
				return usagef("--output %q: want table or json", a.format)
			}
			return nil
		},
	}
	socket := os.Getenv("ZTOS_SOCKET")
	if socket == "" {
		socket = defaultSocket
	}
	f := cmd.PersistentFlags()
	f.StringVar(&a.socket, "socket", socket, "unix socket of the engine; also from $ZTOS_SOCKET")
	f.StringVarP(&a.format, "output", "o", "table", "table or json")
	f.DurationVar(&a.timeout, "timeout", 10*time.Second, "how long the engine may take to answer; not for trace, capture and lab; profile adds its own time")
	cmd.AddCommand(a.showCommand(), a.traceCommand(), a.captureCommand(), a.profileCommand(), a.applyCommand(), a.reloadCommand(),
		a.macsecCommand(), a.fdbCommand(), a.evpnCommand(), a.explainCommand(), a.verifyCommand(), a.labCommand(), a.versionCommand(), a.completionCommand())
	cmd.SetHelpCommand(&cobra.Command{Use: "no-help", Hidden: true, Example: "  ztosctl --help"})
	mark(cmd)
	return cmd
}

// mark wraps the errors of all commands' work in ranError.
func mark(cmd *cobra.Command) {
	for _, c := range cmd.Commands() {
		mark(c)
		if work := c.RunE; work != nil {
			c.RunE = func(c *cobra.Command, args []string) error {
				if err := work(c, args); err != nil {
					return ranError{err}
				}
				return nil
			}
		}
	}
}

// group returns a command that only holds others.
func group(use, short, example string, cmds ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{
		Use: use, Short: short, Example: example, Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return usagef("%s: say what: %s", c.CommandPath(), strings.Join(names(c), ", "))
		},
	}
	c.AddCommand(cmds...)
	return c
}

func names(c *cobra.Command) (out []string) {
	for _, s := range c.Commands() {
		if s.IsAvailableCommand() {
			out = append(out, s.Name())
		}
	}
	return out
}

// engine calls fn with a client of the engine and the answer's deadline.
func (a *app) engine(cmd *cobra.Command, fn func(ctx context.Context, c *client.Client) error) error {
	ctx, cancel := context.WithTimeout(cmd.Context(), a.timeout)
	defer cancel()
	return a.connected(func(c *client.Client) error { return fn(ctx, c) })
}

// connected calls fn with a client of the engine.
func (a *app) connected(fn func(c *client.Client) error) error { return connect(a.socket, fn) }

func connect(socket string, fn func(c *client.Client) error) (err error) {
	c, err := client.Dial(socket)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	return fn(c)
}

// json reports whether the caller wants JSON.
func (a *app) json() bool { return a.format == "json" }

// print writes v as JSON, or the text that render returns.
func (a *app) print(v any, render func() fmt.Stringer) error {
	if a.json() {
		e := json.NewEncoder(a.out)
		e.SetIndent("", "  ")
		return e.Encode(v)
	}
	_, err := io.WriteString(a.out, render().String())
	return err
}

// note writes a line for people to stderr.
func (a *app) note(format string, args ...any) {
	fmt.Fprintf(a.err, format+"\n", args...)
}
