package config

import (
	"encoding"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"reflect"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"github.com/ztos/ztos/engine/table"
)

// MaxSize is the largest document that Parse reads, bytes: 16,000 bridge domains
// with keys for ten remote VTEPs each are 24 MB. Parsing takes some 25 times as
// much memory for a while.
const MaxSize = 32 << 20

// maxDepth bounds nesting; the tree needs 7. The YAML parser recurses, so deeper
// documents are refused before it sees them.
const maxDepth = 64

// Load reads and parses the file at path. Its error is the one of os.ReadFile or
// Faults.
func Load(path string) (*Node, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	return Parse(data, path)
}

// Parse decodes data strictly, fills in defaults and validates. name is what
// faults call the file. The error, if any, is Faults with all that is wrong; the
// node is nil then.
func Parse(data []byte, name string) (*Node, error) {
	d := decoder{lines: map[string]int{}, failed: map[string]bool{}}
	n := &Node{}
	d.document(data, n)
	Defaults(n)

	// A value that could not be read would show up again as missing, or make
	// other places look wrong: say it once.
	var more Faults
	if d.faults == nil {
		more = n.Validate()
	} else if !d.failed[""] {
		n.check(&more)
	}
	for _, f := range more {
		if d.covered(f.Path) {
			continue
		}
		f.Line = d.line(f.Path)
		d.faults = append(d.faults, f)
	}
	for i := range d.faults {
		d.faults[i].File = name
	}
	if err := d.faults.Err(); err != nil {
		return nil, err
	}
	return n, nil
}

// decoder fills a tree from a YAML syntax tree and collects all faults. goccy's
// own decoder stops at the first.
type decoder struct {
	faults Faults
	lines  map[string]int  // path -> line of its value
	failed map[string]bool // paths of faults
}

// document parses data into n.
func (d *decoder) document(data []byte, n *Node) {
	if len(data) > MaxSize {
		d.fault("", 0, fmt.Sprintf("document of %d bytes is larger than %d", len(data), MaxSize), "")
		return
	}
	if tooDeep(data) {
		d.fault("", 0, fmt.Sprintf("nested deeper than %d levels", maxDepth), "")
		return
	}
	file, err := parser.ParseBytes(data, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		d.syntax(err)
		return
	}
	var body ast.Node
	for _, doc := range file.Docs {
		if doc == nil || doc.Body == nil {
			continue
		}
		if _, ok := doc.Body.(*ast.CommentGroupNode); ok {
			continue
		}
		if body != nil {
			d.fault("", lineOf(doc.Body), "a second YAML document in one file", "give each node a file of its own")
			return
		}
		body = doc.Body
	}
	if body == nil {
		d.fault("", 0, "the document is empty", "begin with a `node` section")
		return
	}
	d.value("", body, reflect.ValueOf(n).Elem())
}

// syntax records what the YAML parser says.
func (d *decoder) syntax(err error) {
	line, msg := 0, err.Error()
	if ye, ok := errors.AsType[yaml.Error](err); ok {
		msg = ye.GetMessage()
		if t := ye.GetToken(); t != nil && t.Position != nil {
			line = t.Position.Line
		}
	}
	msg, _, _ = strings.Cut(msg, "\n")
	d.fault("", line, "not YAML: "+msg, "")
}

// fault records a fault of decoding.
func (d *decoder) fault(path string, line int, problem, fix string) {
	d.failed[path] = true
	d.faults = append(d.faults, Fault{Line: line, Path: path, Problem: problem, Fix: fix})
}

// covered reports whether a fault of decoding was at path, above or below it.
func (d *decoder) covered(path string) bool {
	for f := range d.failed {
		if within(path, f) || within(f, path) {
			return true
		}
	}
	return false
}

// within reports whether path is at or below top.
func within(path, top string) bool {
	if top == "" {
		return true
	}
	rest, ok := strings.CutPrefix(path, top)
	return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
}

// line returns the line of the value at path, or of the closest above it.
func (d *decoder) line(path string) int {
	for path != "" {
		if l, ok := d.lines[path]; ok {
			return l
		}
		path = path[:max(0, strings.LastIndexAny(path, ".["))]
	}
	return 0
}

// value decodes n into v, which is settable.
func (d *decoder) value(path string, n ast.Node, v reflect.Value) {
	d.lines[path] = lineOf(n)
	switch t := n.(type) {
	case nil, *ast.NullNode:
		return // `key:` alone says nothing: the default stands
	case *ast.AnchorNode, *ast.AliasNode, *ast.MergeKeyNode, *ast.TagNode:
		d.fault(path, lineOf(n), "anchors, aliases and tags are not understood here", "write the value out")
		return
	case *ast.MappingValueNode: // a map of one entry
		m := &ast.MappingNode{BaseNode: t.BaseNode, Start: t.Start, Values: []*ast.MappingValueNode{t}}
		d.value(path, m, v)
		return
	}
	if v.Kind() == reflect.Pointer {
		p := reflect.New(v.Type().Elem())
		d.value(path, n, p.Elem())
		v.Set(p)
		return
	}
	if ok := d.special(path, n, v); ok {
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		d.mapping(path, n, v)
	case reflect.Slice:
		seq, ok := n.(*ast.SequenceNode)
		if !ok {
			d.fault(path, lineOf(n), "want a list, not "+kind(n), "write one entry per line, each after a hyphen")
			return
		}
		out := reflect.MakeSlice(v.Type(), len(seq.Values), len(seq.Values))
		for i, e := range seq.Values {
			p := fmt.Sprintf("%s[%d]", path, i)
			if _, null := e.(*ast.NullNode); e == nil || null {
				d.fault(p, lineOf(n), "an empty entry", "fill it in or remove its hyphen")
				continue
			}
			d.value(p, e, out.Index(i))
		}
		v.Set(out)
	default:
		d.scalar(path, n, v)
	}
}

// special decodes the types whose text is not Go's own, and those with
// UnmarshalText.
func (d *decoder) special(path string, n ast.Node, v reflect.Value) bool {
	var set func(string) error
	switch p := v.Addr().Interface().(type) {
	case *Switch:
		set = func(s string) error {
			b, ok := n.(*ast.BoolNode)
			if !ok {
				return fmt.Errorf("want true or false, not %q", s)
			}
			*p = SwitchOf(b.Value)
			return nil
		}
	case *table.MAC:
		set = func(s string) (err error) {
			*p, err = table.ParseMAC(s)
			return err
		}
	case *netip.Addr:
		set = func(s string) (err error) {
			if *p, err = netip.ParseAddr(s); err != nil || p.Zone() != "" {
				return fmt.Errorf("%q is not an IP address", s)
			}
			*p = p.Unmap()
			return nil
		}
	case *netip.Prefix:
		set = func(s string) (err error) {
			if *p, err = netip.ParsePrefix(s); err != nil || p.Addr().Is4In6() {
				return fmt.Errorf("%q is not a prefix: want ADDRESS/BITS", s)
			}
			return nil
		}
	case *netip.AddrPort:
		set = func(s string) (err error) {
			if s == "" {
				*p = netip.AddrPort{}
				return nil
			}
			if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
				*p = netip.AddrPortFrom(a.Unmap(), 0)
				return nil
			}
			if *p, err = netip.ParseAddrPort(s); err != nil || p.Addr().Zone() != "" {
				return fmt.Errorf("%q is not an address and port: want 192.0.2.1:51820 or \"[2001:db8::1]:51820\"", s)
			}
			*p = netip.AddrPortFrom(p.Addr().Unmap(), p.Port())
			return nil
		}
	case encoding.TextUnmarshaler:
		set = func(s string) error { return p.UnmarshalText([]byte(s)) }
	default:
		return false
	}
	s, ok := text(n)
	if !ok {
		d.fault(path, lineOf(n), "want one value, not "+kind(n), "")
	} else if err := set(s); err != nil {
		d.fault(path, lineOf(n), err.Error(), "")
	}
	return true
}

// scalar decodes strings, numbers and booleans. A number is never read as a
// string's content or the reverse, except that any plain word is a string.
func (d *decoder) scalar(path string, n ast.Node, v reflect.Value) {
	s, ok := text(n)
	if !ok {
		d.fault(path, lineOf(n), "want one value, not "+kind(n), "")
		return
	}
	_, isNumber := n.(*ast.IntegerNode)
	s10 := strings.ReplaceAll(s, "_", "")
	switch v.Kind() {
	case reflect.String:
		v.SetString(s)
		return
	case reflect.Bool:
		if b, ok := n.(*ast.BoolNode); ok {
			v.SetBool(b.Value)
			return
		}
		d.fault(path, lineOf(n), fmt.Sprintf("want true or false, not %q", s), "")
		return
	case reflect.Int, reflect.Int64:
		if i, err := strconv.ParseInt(s10, 0, v.Type().Bits()); err == nil && isNumber {
			v.SetInt(i)
			return
		}
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		if u, err := strconv.ParseUint(s10, 0, v.Type().Bits()); err == nil && isNumber {
			v.SetUint(u)
			return
		}
		d.fault(path, lineOf(n), fmt.Sprintf("want a number from 0 to %d, not %q", ^uint64(0)>>(64-v.Type().Bits()), s), "")
		return
	}
	d.fault(path, lineOf(n), fmt.Sprintf("want a whole number, not %q", s), "")
}

// mapping decodes a map into the struct v; every key must be a field's.
func (d *decoder) mapping(path string, n ast.Node, v reflect.Value) {
	m, ok := n.(*ast.MappingNode)
	if !ok {
		d.fault(path, lineOf(n), "want `key: value` lines, not "+kind(n), "")
		return
	}
	fields := map[string]int{}
	var names []string
	for i := range v.NumField() {
		name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("yaml"), ",")
		fields[name] = i
		names = append(names, name)
	}
	seen := map[string]int{}
	for _, kv := range m.Values {
		line := lineOf(kv.Key)
		key, ok := text(kv.Key)
		if !ok {
			d.fault(path, line, "a key that is "+kind(kv.Key), "anchors, aliases and merge keys are not understood here")
			continue
		}
		at := key
		if path != "" {
			at = path + "." + key
		}
		if first, dup := seen[key]; dup {
			d.fault(at, line, fmt.Sprintf("key %q is here twice, first on line %d", key, first), "keep one")
			continue
		}
		seen[key] = line
		i, ok := fields[key]
		if !ok {
			fix := "known here: " + strings.Join(names, ", ")
			if c := closest(key, names); c != "" {
				fix = fmt.Sprintf("did you mean %q?", c)
			}
			d.fault(at, line, fmt.Sprintf("unknown key %q", key), fix)
			continue
		}
		d.value(at, kv.Value, v.Field(i))
		if l := d.lines[at]; l == 0 {
			d.lines[at] = line
		}
	}
}
