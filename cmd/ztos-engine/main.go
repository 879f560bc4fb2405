// Command ztos-engine is the node daemon: it makes a Linux host a leaf or a
// spine of the fabric.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/ztos/ztos/api/metrics"
	"github.com/ztos/ztos/api/server"
	"github.com/ztos/ztos/control"
)

// version is set by the linker.
var version = "dev"

// Exit codes.
const (
	exitFailure = 1 // the engine could not start or go on
	exitUsage   = 2 // the command line is wrong
	exitRefused = 4 // the configuration is refused
)

func main() {
	err := root().Execute()
	var faults control.Refused
	switch {
	case err == nil:
	case errors.As(err, &faults):
		os.Exit(exitRefused)
	case errors.Is(err, errRun):
		os.Exit(exitFailure)
	default:
		os.Exit(exitUsage)
	}
}

// errRun marks what went wrong after the command line was understood.
var errRun = errors.New("ztos-engine")

func root() *cobra.Command {
	cmd := &cobra.Command{
		Use:           "ztos-engine",
		Short:         "A leaf or a spine of an encrypted multi-tenant fabric",
		Long:          "ztos-engine forwards tenant frames through MACsec, VXLAN and WireGuard.\n\nExit codes: 0 ended as asked, 1 failed, 2 wrong usage, 4 configuration refused.",
		Version:       version,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	cmd.AddCommand(checkCommand(), runCommand())
	for _, c := range cmd.Commands() {
		run := c.RunE
		c.RunE = func(c *cobra.Command, args []string) error {
			err := run(c, args)
			if err != nil {
				fmt.Fprintln(os.Stderr, err)
			}
			return err
		}
	}
	cmd.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		fmt.Fprintf(os.Stderr, "%v\nSee '%s --help'.\n", err, c.CommandPath())
		return err
	})
	return cmd
}

func checkCommand() *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use:     "check",
		Short:   "Check a configuration, its key files and its MTU, and change nothing",
		Example: "  ztos-engine check --config /etc/ztos/engine.yaml",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			report, err := control.Check(path)
			if err != nil {
				return err
			}
			fmt.Fprint(cmd.OutOrStdout(), report)
			return nil
		},
	}
	cmd.Flags().StringVarP(&path, "config", "c", "/etc/ztos/engine.yaml", "configuration file")
	return cmd
}

func runCommand() *cobra.Command {
	var path, level, format string
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Run the node until SIGTERM; SIGHUP reads the configuration again",
		Example: "  ztos-engine run --config /etc/ztos/engine.yaml\n" +
			"  ztos-engine run -c leaf1.yaml --log-level debug --log-format json",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			log, err := logger(level, format)
			if err != nil {
				return err
			}
			return run(cmd.Context(), path, log)
		},
	}
	cmd.Flags().StringVarP(&path, "config", "c", "/etc/ztos/engine.yaml", "configuration file")
	cmd.Flags().StringVar(&level, "log-level", "info", "debug, info, warn or error")
	cmd.Flags().StringVar(&format, "log-format", "text", "text or json")
	return cmd
}

func logger(level, format string) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, fmt.Errorf("--log-level %q: want debug, info, warn or error", level)
	}
	o := &slog.HandlerOptions{Level: l}
	switch format {
	case "text":
		return slog.New(slog.NewTextHandler(os.Stderr, o)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(os.Stderr, o)), nil
	}
	return nil, fmt.Errorf("--log-format %q: want text or json", format)
}

func run(ctx context.Context, path string, log *slog.Logger) error {
	if ctx == nil {
		ctx = context.Background()
	}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, os.Interrupt)
	defer stop()
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)

	if err := keepSecretsIn(); err != nil {
		return fmt.Errorf("%w: %w", errRun, err)
	}
	node, err := control.Start(path, log, version)
	if err != nil {
		var refused control.Refused
		if errors.As(err, &refused) {
			return err
		}
		return fmt.Errorf("%w: %w", errRun, err)
	}
	defer node.Close()

	cfg := node.Config()
	api, err := server.Listen(cfg.API.Socket, node)
	if err != nil {
		return fmt.Errorf("%w: %w", errRun, err)
	}
	defer api.Close()
	if cfg.API.Metrics.IsValid() {
		m, err := metrics.Listen(cfg.API.Metrics, node)
		if err != nil {
			return fmt.Errorf("%w: %w", errRun, err)
		}
		defer m.Close()
	}
	log.Info("node is up", "name", cfg.Self.Name, "version", version, "socket", cfg.API.Socket)
	for {
		select {
		case <-ctx.Done():
			log.Info("node ends")
			return nil
		case <-hup:
			if gen, err := node.Reload(); err != nil {
				log.Error("configuration refused, the old one stays", "err", err)
			} else {
				log.Info("configuration applied", "generation", gen)
			}
		}
	}
}
