package lab

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// extension is a document with more of a lab: what it lists is added to what is
// there.
type extension struct {
	// More tenants, as in a topology.
	Tenants []Tenant `yaml:"tenants"`
	// More nodes. A host may hang on a leaf that is there already, and be of any
	// tenant.
	Nodes []Node `yaml:"nodes"`
	// More links, also to nodes that are there already.
	Links []Link `yaml:"links"`
}

// Extended returns a topology with what t has and what the extension in data adds:
// a document with tenants, nodes and links. t does not change. name is what faults
// call the file; their paths and lines are those of the extension, as far as it is
// what is at fault. The error, if any, is config.Faults with all that is wrong.
func (t *Topology) Extended(data []byte, name string) (*Topology, error) {
	d := decoder{lines: map[string]int{}, first: "nodes"}
	var x extension
	d.document(data, reflect.ValueOf(&x).Elem())
	if err := d.err(name); err != nil {
		return nil, err
	}
	out := *t
	out.Tenants = slices.Concat(t.Tenants, x.Tenants)
	out.Nodes = slices.Concat(t.Nodes, x.Nodes)
	out.Links = slices.Concat(t.Links, x.Links)
	out.defaults()
	for _, f := range out.validate() {
		f.Path = t.ofExtension(f.Path)
		f.Line = d.line(f.Path)
		d.faults = append(d.faults, f)
	}
	if err := d.err(name); err != nil {
		return nil, err
	}
	return &out, nil
}

// ofExtension returns the path in the extension for a path in the extended
// topology; where that is in what t has, it says so.
func (t *Topology) ofExtension(path string) string {
	for section, n := range map[string]int{"tenants": len(t.Tenants), "nodes": len(t.Nodes), "links": len(t.Links)} {
		rest, ok := strings.CutPrefix(path, section+"[")
		if !ok {
			continue
		}
		number, rest, _ := strings.Cut(rest, "]")
		i, err := strconv.Atoi(number)
		if err != nil {
			break
		}
		if i >= n {
			return fmt.Sprintf("%s[%d]%s", section, i-n, rest)
		}
		return "(the lab's) " + path
	}
	return path
}

// Files of the run directory: the documents that the lab was made of.
const topologyFile = "topology.yaml"

func extensionFile(n int) string { return fmt.Sprintf("extension-%d.yaml", n) }

// keep writes the document of t into a run directory, so that another program can
// extend the lab. A topology that was changed since it was parsed, its name aside,
// has no document: the lab can't be extended.
func (t *Topology) keep(dir string) error {
	same, err := Parse(t.source, t.file)
	if err != nil {
		return nil
	}
	same.Name = t.Name
	if !reflect.DeepEqual(same, t) {
		return nil
	}
	return replaceFile(filepath.Join(dir, topologyFile), t.source)
}

// current returns the topology of a lab that is there, from its run directory.
func (l *Lab) current(s *state) (*Topology, error) {
	data, err := os.ReadFile(l.file("", topologyFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("lab: %s can't be extended: it was not made of a file as it stands", l.name)
	}
	if err != nil {
		return nil, fmt.Errorf("lab: %w", err)
	}
	t, err := Parse(data, s.Topology)
	if err != nil {
		return nil, err
	}
	t.Name = l.name
	for i, name := range s.Extensions {
		if data, err = os.ReadFile(l.file("", extensionFile(i))); err != nil {
			return nil, fmt.Errorf("lab: %w", err)
		}
		if t, err = t.Extended(data, name); err != nil {
			return nil, err
		}
	}
	return t, nil
}
