package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ztos/ztos/lab"
)

func (a *app) labCommand() *cobra.Command {
	return group("lab", "Build whole fabrics on this machine, in network namespaces",
		"  ztosctl lab up lab/standard.yaml\n  ztosctl lab exec lab/standard.yaml red1 -- ping -c 2 10.1.0.2\n  ztosctl lab down lab/standard.yaml",
		a.labUp(), a.labExtend(), a.labDown(), a.labStatus(), a.labExec())
}

// open returns the lab of a topology file, or, where that is allowed, of a lab's
// name.
func (a *app) open(arg string, byName bool, o lab.Options) (*lab.Lab, error) {
	o.Progress = func(step, total int, what string) { a.note("[%*d/%d] %s", len(fmt.Sprint(total)), step, total, what) }
	if byName && !strings.ContainsAny(arg, "./") {
		if _, err := os.Stat(arg); err != nil {
			return lab.Attach(arg, o)
		}
	}
	t, err := lab.Load(arg)
	if err != nil {
		return nil, err
	}
	return lab.New(t, o)
}

func (a *app) labUp() *cobra.Command {
	var o lab.Options
	cmd := &cobra.Command{
		Use:     "up FILE",
		Short:   "Make the lab of a topology file, and start its engines",
		Long:    "Up makes namespaces, links, keys, configurations and processes. What an earlier up left is taken\ndown first. Nothing is connected to the machine's own network. Needs root.",
		Example: "  ztosctl lab up lab/standard.yaml",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			l, err := a.open(args[0], false, o)
			if err != nil {
				return err
			}
			if err := l.Up(cmd.Context()); err != nil {
				return err
			}
			return a.done(result{Done: fmt.Sprintf("lab %s is up in %s", l.Name(), l.Dir())})
		},
	}
	cmd.Flags().StringVar(&o.EngineBinary, "engine", "", "ztos-engine program; default: beside this program, then in $PATH")
	cmd.Flags().BoolVar(&o.NoEngines, "no-engines", false, "make all but the engines")
	return cmd
}

func (a *app) labExtend() *cobra.Command {
	return &cobra.Command{
		Use:   "extend FILE|NAME EXTENSION",
		Short: "Add tenants, nodes and links to a lab that is up, while it forwards",
		Long: "Extend adds what the extension file lists under tenants, nodes and links, in the words of a topology\n" +
			"file. Engines that are there read their new configurations and go on forwarding. When something\n" +
			"is wrong, the lab stays as it was. Needs root.",
		Example: "  ztosctl lab extend lab/evpn.yaml lab/evpn-more.yaml",
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			l, err := a.open(args[0], true, lab.Options{})
			if err != nil {
				return err
			}
			data, err := lab.ReadFile(args[1])
			if err != nil {
				return err
			}
			t, err := l.Extend(cmd.Context(), data, args[1])
			if err != nil {
				return err
			}
			return a.done(result{Done: fmt.Sprintf("lab %s has %d nodes and %d tenants now", l.Name(), len(t.Nodes), len(t.Tenants))})
		},
	}
}

func (a *app) labDown() *cobra.Command {
	return &cobra.Command{
		Use:     "down FILE|NAME",
		Short:   "Take a lab away, also after a crash",
		Example: "  ztosctl lab down lab/standard.yaml\n  ztosctl lab down standard",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			l, err := a.open(args[0], true, lab.Options{})
			if err != nil {
				return err
			}
			if err := l.Down(cmd.Context()); err != nil {
				return err
			}
			return a.done(result{Done: fmt.Sprintf("lab %s is down", l.Name())})
		},
	}
}

func (a *app) labStatus() *cobra.Command {
	return &cobra.Command{
		Use:     "status FILE|NAME",
		Short:   "Show what is there of a lab",
		Example: "  ztosctl lab status lab/standard.yaml\n  ztosctl lab status standard -o json",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			l, err := a.open(args[0], true, lab.Options{})
			if err != nil {
				return err
			}
			s, err := l.Status()
			if err != nil {
				return err
			}
			return a.print(s, func() fmt.Stringer { return labTable(s) })
		},
	}
}

func labTable(s lab.Status) *table {
	t := newTable(fmt.Sprintf("lab %s: %v", s.Name, s.Phase), "NODE", "KIND", "NAMESPACE", "PROCESSES", "SOCKET")
	for _, n := range s.Nodes {
		var ps []string
		for _, p := range n.Processes {
			state := p.State
			if p.PID != 0 {
				state += fmt.Sprintf(" (%d)", p.PID)
			}
			ps = append(ps, p.Name+" "+state)
		}
		ns := n.Namespace
		if !n.Exists {
			ns += " (gone)"
		}
		t.add(n.Name, n.Kind, ns, strings.Join(ps, ", "), n.Socket)
	}
	return t
}

func (a *app) labExec() *cobra.Command {
	return &cobra.Command{
		Use:     "exec FILE|NAME NODE -- COMMAND...",
		Short:   "Run a command in a node of a lab; exits with the command's code",
		Example: "  ztosctl lab exec lab/standard.yaml red1 -- ping -c 2 10.1.0.2",
		Args:    cobra.MinimumNArgs(3),
		RunE: func(cmd *cobra.Command, args []string) error {
			l, err := a.open(args[0], true, lab.Options{})
			if err != nil {
				return err
			}
			return l.Exec(cmd.Context(), args[1], args[2:], a.in, a.out, a.err)
		},
	}
}
