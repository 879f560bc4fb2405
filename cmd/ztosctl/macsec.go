package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/ztos/ztos/api/client"
	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/config/status"
	tbl "github.com/ztos/ztos/engine/table"
)

func (a *app) macsecCommand() *cobra.Command {
	return group("macsec", "Change the keys of a VNI while frames flow",
		"  ztosctl macsec rollover --vni 10100 --key-file /etc/ztos/red.leaf1.1.sak --receiver /run/ztos/leaf2.sock",
		a.installCommand(), a.useCommand(), a.removeCommand(), a.rolloverCommand())
}

// saFlags adds the flags that name an SA and returns what reads them.
func saFlags(cmd *cobra.Command) func(args []string) (status.SARef, error) {
	vni := vniFlag(cmd, "VNI of the SecY (required)")
	an := cmd.Flags().Uint8("an", 0, "association number, 0 to 3 (required)")
	sci := cmd.Flags().String("sci", "", "channel, 16 hex digits; of tx it is the SecY's own")
	return func(args []string) (ref status.SARef, err error) {
		switch args[0] {
		case "tx":
			ref.Direction = status.Tx
		case "rx":
			ref.Direction = status.Rx
		default:
			return ref, usagef("%q: want tx or rx", args[0])
		}
		if ref.VNI, err = vni(); err != nil {
			return ref, err
		}
		if ref.AN, err = needAN(cmd, *an); err != nil {
			return ref, err
		}
		if *sci != "" {
			if err := ref.SCI.UnmarshalText([]byte(*sci)); err != nil {
				return ref, usagef("--sci: %v", err)
			}
		}
		if ref.VNI == 0 || ref.Direction == status.Rx && ref.SCI == (config.SCI{}) {
			return ref, usagef("--vni is required, and --sci with rx")
		}
		return ref, nil
	}
}

// needAN wants --an, from 0 to 3.
func needAN(cmd *cobra.Command, an uint8) (uint8, error) {
	if !cmd.Flags().Changed("an") || an > 3 {
		return 0, usagef("--an is required, 0 to 3")
	}
	return an, nil
}

// absolute returns file as the engine needs it: its working folder is not ours.
func absolute(file string) (string, error) {
	if file == "" {
		return "", nil
	}
	return filepath.Abs(file)
}

// direction is the argument of commands on SAs.
var direction = []string{"tx", "rx"}

func (a *app) installCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "install tx|rx",
		Short: "Install an SA from a key file on the engine's machine",
		Example: "  ztosctl macsec install rx --vni 10100 --sci 0a00000000010001 --an 1 --key-file /etc/ztos/red.leaf1.1.sak\n" +
			"  ztosctl macsec install tx --vni 10100 --an 1 --key-file /etc/ztos/red.leaf1.1.sak",
		Args: cobra.ExactArgs(1), ValidArgs: direction,
	}
	ref := saFlags(cmd)
	key := cmd.Flags().String("key-file", "", "file with the SAK in hex, mode 0600 (required)")
	salt := cmd.Flags().String("salt-file", "", "file with the salt in hex, mode 0600; XPN suites only")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		r, err := ref(args)
		if err != nil {
			return err
		}
		if *key == "" {
			return usagef("--key-file is required")
		}
		sa := status.SA{SARef: r}
		var e1, e2 error
		sa.KeyFile, e1 = absolute(*key)
		sa.SaltFile, e2 = absolute(*salt)
		if err := errors.Join(e1, e2); err != nil {
			return err
		}
		return a.engine(cmd, func(ctx context.Context, c *client.Client) error {
			if err := c.InstallSA(ctx, sa); err != nil {
				return err
			}
			return a.done(result{Done: fmt.Sprintf("VNI %d: %s AN %d is installed", r.VNI, r.Direction, r.AN)})
		})
	}
	return cmd
}

func (a *app) useCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "use",
		Short:   "Transmit with another AN from now on",
		Example: "  ztosctl macsec use --vni 10100 --an 1",
		Args:    cobra.NoArgs,
	}
	vni := vniFlag(cmd, "VNI of the SecY (required)")
	an := cmd.Flags().Uint8("an", 0, "association number, 0 to 3 (required)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		v, err := vni()
		if err != nil {
			return err
		}
		if v == 0 {
			return usagef("--vni is required")
		}
		n, err := needAN(cmd, *an)
		if err != nil {
			return err
		}
		return a.engine(cmd, func(ctx context.Context, c *client.Client) error {
			if err := c.UseAN(ctx, v, n); err != nil {
				return err
			}
			return a.done(result{Done: fmt.Sprintf("VNI %d: transmits with AN %d", v, n)})
		})
	}
	return cmd
}

func (a *app) removeCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "remove tx|rx",
		Short:   "Remove an SA; the one that transmits stays",
		Example: "  ztosctl macsec remove tx --vni 10100 --an 0\n  ztosctl macsec remove rx --vni 10100 --sci 0a00000000010001 --an 0",
		Args:    cobra.ExactArgs(1), ValidArgs: direction,
	}
	ref := saFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		r, err := ref(args)
		if err != nil {
			return err
		}
		return a.engine(cmd, func(ctx context.Context, c *client.Client) error {
			if err := c.RemoveSA(ctx, r); err != nil {
				return err
			}
			return a.done(result{Done: fmt.Sprintf("VNI %d: %s AN %d is removed", r.VNI, r.Direction, r.AN)})
		})
	}
	return cmd
}

func (a *app) rolloverCommand() *cobra.Command {
	var r rollover
	cmd := &cobra.Command{
		Use:   "rollover",
		Short: "Change the SAK of a VNI's sender with no frame lost",
		Long: "Rollover takes the node at --socket as the sender and does, in this order: install the new SA at\n" +
			"every --receiver, install it at the sender, transmit with it, wait --drain for frames under\n" +
			"way, remove the old SA at the sender and the receivers. When a step before the switch\n" +
			"fails, what it installed is removed again. For nodes on other machines, do the steps there by\n" +
			"`ztosctl macsec install`, `use` and `remove`.\n\n" +
			"The configuration files stay as they are: put the new key into them too.",
		Example: "  ztosctl macsec rollover --vni 10100 --key-file /etc/ztos/red.leaf1.1.sak --receiver /run/ztos/leaf2.sock --receiver /run/ztos/leaf3.sock",
		Args:    cobra.NoArgs,
	}
	vni := vniFlag(cmd, "VNI to change (required)")
	f := cmd.Flags()
	an := f.Int("an", -1, "new association number; by default the one after the current")
	key := f.String("key-file", "", "file with the new SAK in hex, mode 0600, for all nodes (required)")
	salt := f.String("salt-file", "", "file with the salt; XPN suites only")
	f.StringSliceVar(&r.receivers, "receiver", nil, "API socket of a node that receives the channel; may be repeated (required)")
	f.DurationVar(&r.drain, "drain", 2*time.Second, "how long frames of the old SA may be under way")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		var err error
		if r.vni, err = vni(); err != nil {
			return err
		}
		if r.vni == 0 || *key == "" || len(r.receivers) == 0 {
			return usagef("--vni, --key-file and --receiver are required")
		}
		if *an < -1 || *an > 3 {
			return usagef("--an %d: want 0 to 3", *an)
		}
		var e1, e2 error
		r.key, e1 = absolute(*key)
		r.salt, e2 = absolute(*salt)
		if err := errors.Join(e1, e2); err != nil {
			return err
		}
		r.app, r.an = a, *an
		return r.run(cmd.Context())
	}
	return cmd
}

// rollover is one live change of a sender's SAK.
type rollover struct {
	*app
	vni       tbl.VNI
	an        int // -1: the one after the current
	key, salt string
	receivers []string
	drain     time.Duration

	step, steps int
}

// say reports a step.
func (r *rollover) say(format string, args ...any) {
	r.step++
	r.note("[%d/%d] %s", r.step, r.steps, fmt.Sprintf(format, args...))
}

// on does fn at the node of a socket, in the answer's time.
func (r *rollover) on(ctx context.Context, socket string, fn func(context.Context, *client.Client) error) error {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	if err := connect(socket, func(c *client.Client) error { return fn(ctx, c) }); err != nil {
		return fmt.Errorf("%s: %w", socket, err)
	}
	return nil
}

func (r *rollover) run(ctx context.Context) error {
	var y status.SecY
	err := r.on(ctx, r.socket, func(ctx context.Context, c *client.Client) error {
		ys, err := c.SecYs(ctx, r.vni)
		if err == nil && len(ys) == 1 {
			y = ys[0]
		}
		return err
	})
	if err != nil {
		return err
	}
	if !y.TxUsable {
		return fmt.Errorf("VNI %d transmits with no SA: there is nothing to roll over from; use `ztosctl macsec install`", r.vni)
	}
	if r.an < 0 {
		r.an = int(y.TxAN+1) % 4
	}
	if r.an == int(y.TxAN) {
		return usagef("--an %d is in use already", r.an)
	}
	tx := status.SARef{VNI: r.vni, Direction: status.Tx, AN: uint8(r.an)}
	rx := status.SARef{VNI: r.vni, Direction: status.Rx, SCI: y.TxSCI, AN: uint8(r.an)}
	r.steps = 2*len(r.receivers) + 4
	if err := r.install(ctx, tx, rx); err != nil {
		return err
	}
	old := y.TxAN
	r.say("wait %v for frames under way", r.drain)
	select {
	case <-ctx.Done():
		return fmt.Errorf("the new AN %d transmits; the old AN %d stays until it is removed: %w", r.an, old, ctx.Err())
	case <-time.After(r.drain):
	}
	if err := r.retire(ctx, y, old); err != nil {
		return err
	}
	return r.done(result{Done: fmt.Sprintf("VNI %d: AN %d took over from AN %d", r.vni, r.an, old)})
}

// install brings the new SA to all nodes and switches to it; when a step fails
// it takes away what it brought.
func (r *rollover) install(ctx context.Context, tx, rx status.SARef) (err error) {
	var undo []func()
	defer func() {
		if err != nil {
			for _, f := range undo {
				f()
			}
			err = fmt.Errorf("nothing has changed: %w", err)
		}
	}()
	add := func(socket string, ref status.SARef) error {
		r.say("install %s AN %d at %s", ref.Direction, r.an, socket)
		err := r.on(ctx, socket, func(ctx context.Context, c *client.Client) error {
			return c.InstallSA(ctx, status.SA{SARef: ref, KeyFile: r.key, SaltFile: r.salt})
		})
		if err == nil {
			undo = append(undo, func() {
				// Also when Ctrl-C ended ctx.
				e := r.on(context.WithoutCancel(ctx), socket, func(ctx context.Context, c *client.Client) error { return c.RemoveSA(ctx, ref) })
				if e != nil {
					r.note("undo: %v", e)
				}
			})
		}
		return err
	}
	for _, s := range r.receivers {
		if err := add(s, rx); err != nil {
			return err
		}
	}
	if err := add(r.socket, tx); err != nil {
		return err
	}
	r.say("transmit with AN %d", r.an)
	return r.on(ctx, r.socket, func(ctx context.Context, c *client.Client) error { return c.UseAN(ctx, r.vni, uint8(r.an)) })
}

// retire removes the old SA everywhere, sender first, and goes on after faults.
func (r *rollover) retire(ctx context.Context, y status.SecY, old uint8) error {
	remove := func(socket string, ref status.SARef) error {
		r.say("remove %s AN %d at %s", ref.Direction, old, socket)
		return r.on(ctx, socket, func(ctx context.Context, c *client.Client) error {
			err := c.RemoveSA(ctx, ref)
			if errors.Is(err, status.ErrNotFound) {
				return nil
			}
			return err
		})
	}
	errs := []error{remove(r.socket, status.SARef{VNI: r.vni, Direction: status.Tx, AN: old})}
	for _, s := range r.receivers {
		errs = append(errs, remove(s, status.SARef{VNI: r.vni, Direction: status.Rx, SCI: y.TxSCI, AN: old}))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("the new AN %d transmits, and the old one is not gone everywhere: %w", r.an, err)
	}
	return nil
}
