package lab

import "github.com/ztos/ztos/config"

// CheckedConfig returns the engine configuration of a node with stand-in keys
// and paths, as Parse builds it to check a topology.
func CheckedConfig(t *Topology, node string) (*config.Node, []byte, error) {
	n, ok := t.Node(node)
	if !ok {
		panic("no node " + node)
	}
	doc, err := t.nodeConfig(n, standIn{})
	if err != nil {
		return nil, nil, err
	}
	c, err := config.Parse(doc, node)
	return c, doc, err
}

// Record is a process in the state file.
type Record struct {
	Node, Name string
	PID        int
	Start      uint64
}

// EditProcesses changes the processes in the state file of a lab.
func EditProcesses(l *Lab, edit func(*Record)) error {
	s, err := readState(l.dir)
	if err != nil {
		return err
	}
	for i := range s.Processes {
		p := &s.Processes[i]
		r := Record{p.Node, p.Name, p.PID, p.Start}
		edit(&r)
		p.PID, p.Start = r.PID, r.Start
	}
	return s.write(l.dir)
}
