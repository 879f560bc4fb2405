package lab

import (
	"encoding"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/engine/table"
)

// maxDepth bounds nesting, because the YAML parser recurses; a topology with an
// engine overlay needs about 12.
const maxDepth = 32

// Parse decodes a topology strictly, fills in defaults and validates it, down
// to the engine configurations that follow from it. name is what faults call
// the file. The error, if any, is config.Faults with all that is wrong.
func Parse(data []byte, name string) (*Topology, error) {
	d := decoder{lines: map[string]int{}, first: "name"}
	t := &Topology{file: name, source: data}
	d.document(data, reflect.ValueOf(t).Elem())
	if len(d.faults) == 0 {
		t.defaults()
		// Only a tree without gaps can be judged as a whole.
		for _, f := range t.validate() {
			f.Line = d.line(f.Path)
			d.faults = append(d.faults, f)
		}
	}
	if err := d.err(name); err != nil {
		return nil, err
	}
	return t, nil
}

// err returns all faults as those of the file name, nil without any.
func (d *decoder) err(name string) error {
	for i := range d.faults {
		d.faults[i].File = name
	}
	return d.faults.Err()
}

// decoder fills a tree from a YAML syntax tree and collects every fault;
// goccy's own decoder stops at the first.
type decoder struct {
	faults config.Faults
	lines  map[string]int // path -> line of its value
	first  string         // key with which a document begins
}

// fault records what is wrong at path.
func (d *decoder) fault(path string, n ast.Node, fix, format string, args ...any) {
	d.faults = append(d.faults, config.Fault{Line: lineOf(n), Path: path, Problem: fmt.Sprintf(format, args...), Fix: fix})
}

// document parses data into v.
func (d *decoder) document(data []byte, v reflect.Value) {
	switch {
	case len(data) > MaxSize:
		d.fault("", nil, "", "document of %d bytes, more than %d", len(data), MaxSize)
		return
	case deep(data):
		d.fault("", nil, "", "nested deeper than %d levels", maxDepth)
		return
	}
	file, err := parser.ParseBytes(data, 0)
	if err != nil {
		f := config.Fault{Problem: "not YAML"}
		if ye, ok := errors.AsType[yaml.Error](err); ok {
			f.Problem += ": " + ye.GetMessage()
			if tk := ye.GetToken(); tk != nil && tk.Position != nil {
				f.Line = tk.Position.Line
			}
		}
		d.faults = append(d.faults, f)
		return
	}
	var body ast.Node
	for _, doc := range file.Docs {
		if doc == nil || doc.Body == nil || doc.Body.Type() == ast.CommentType {
			continue
		}
		if body != nil {
			d.fault("", doc.Body, "give each lab a file of its own", "a second YAML document in one file")
			return
		}
		body = doc.Body
	}
	if body == nil {
		d.fault("", nil, "begin with `"+d.first+":`", "the document is empty")
		return
	}
	for _, typ := range []ast.NodeType{ast.AnchorType, ast.AliasType, ast.MergeKeyType, ast.TagType} {
		for _, n := range ast.Filter(typ, body) {
			d.fault("", n, "write the value out", "anchors, aliases, tags and merge keys are not understood here")
		}
	}
	if len(d.faults) == 0 {
		d.value("", body, v)
	}
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
	if l := lineOf(n); l > 0 {
		d.lines[path] = l
	}
	if n == nil || n.Type() == ast.NullType {
		return // `key:` alone says nothing: the default stands
	}
	if v.Kind() == reflect.Pointer {
		p := reflect.New(v.Type().Elem())
		d.value(path, n, p.Elem())
		v.Set(p)
		return
	}
	if set := setter(v); set != nil {
		if s, ok := text(n); !ok {
			d.fault(path, n, "", "want one value, not %s", strings.ToLower(n.Type().String()))
		} else if err := set(s); err != nil {
			d.fault(path, n, "", "%v", err)
		}
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		d.mapping(path, n, v)
	case reflect.Map: // Overlay
		if n.Type() != ast.MappingType && n.Type() != ast.MappingValueType {
			d.fault(path, n, "", "want `key: value` lines, not %s", strings.ToLower(n.Type().String()))
			return
		}
		var m map[string]any
		if err := yaml.NodeToValue(n, &m); err != nil {
			d.fault(path, n, "", "cannot be read as engine configuration")
			return
		}
		v.Set(reflect.ValueOf(Overlay(m)))
	case reflect.Slice:
		seq, ok := n.(*ast.SequenceNode)
		if !ok {
			d.fault(path, n, "write one entry per line, each after a hyphen", "want a list, not %s", strings.ToLower(n.Type().String()))
			return
		}
		out := reflect.MakeSlice(v.Type(), len(seq.Values), len(seq.Values))
		for i, e := range seq.Values {
			d.value(fmt.Sprintf("%s[%d]", path, i), e, out.Index(i))
		}
		v.Set(out)
	default:
		d.scalar(path, n, v)
	}
}

// setter returns how to set v from text when its type says so, else nil.
func setter(v reflect.Value) func(string) error {
	switch p := v.Addr().Interface().(type) {
	case *table.MAC:
		return func(s string) (err error) {
			*p, err = table.ParseMAC(s)
			return err
		}
	case *config.Switch:
		return func(s string) error {
			if s != "true" && s != "false" {
				return fmt.Errorf("want true or false, not %q", s)
			}
			*p = config.SwitchOf(s == "true")
			return nil
		}
	case *netip.Addr:
		return func(s string) (err error) {
			if *p, err = netip.ParseAddr(s); err != nil || p.Zone() != "" {
				return fmt.Errorf("%q is not an IP address", s)
			}
			return nil
		}
	case *netip.Prefix:
		return func(s string) (err error) {
			if *p, err = netip.ParsePrefix(s); err != nil {
				return fmt.Errorf("%q is not an address with a prefix length: want ADDRESS/BITS", s)
			}
			return nil
		}
	case encoding.TextUnmarshaler:
		return func(s string) error { return p.UnmarshalText([]byte(s)) }
	}
	return nil
}

// scalar decodes strings, whole numbers and booleans.
func (d *decoder) scalar(path string, n ast.Node, v reflect.Value) {
	s, ok := text(n)
	if !ok {
		d.fault(path, n, "", "want one value, not %s", strings.ToLower(n.Type().String()))
		return
	}
	var err error
	switch v.Kind() {
	case reflect.String:
		v.SetString(s)
	case reflect.Bool:
		b, isBool := n.(*ast.BoolNode)
		if !isBool {
			d.fault(path, n, "", "want true or false, not %q", s)
			return
		}
		v.SetBool(b.Value)
	case reflect.Int:
		var i int64
		if i, err = strconv.ParseInt(s, 10, 32); err == nil {
			v.SetInt(i)
		}
	case reflect.Uint16, reflect.Uint32:
		var u uint64
		if u, err = strconv.ParseUint(s, 10, v.Type().Bits()); err == nil {
			v.SetUint(u)
		}
	default:
		panic("lab: no decoder for " + v.Type().String())
	}
	if err != nil {
		d.fault(path, n, "", "want a whole number, not %q", s)
	}
}

// mapping decodes a map into the struct v; every key must be a field's.
func (d *decoder) mapping(path string, n ast.Node, v reflect.Value) {
	if n.Type() != ast.MappingType && n.Type() != ast.MappingValueType {
		d.fault(path, n, "", "want `key: value` lines, not %s", strings.ToLower(n.Type().String()))
		return
	}
	var names []string
	index := map[string]int{}
	for i := range v.NumField() {
		if tag := v.Type().Field(i).Tag.Get("yaml"); tag != "" {
			names, index[tag] = append(names, tag), i
		}
	}
	for _, kv := range entries(n) {
		key, ok := text(kv.Key)
		at := strings.TrimPrefix(path+"."+key, ".")
		i, known := index[key]
		switch {
		case !ok:
			d.fault(path, kv.Key, "", "a key that is not a word")
		case !known:
			sorted := slices.Sorted(slices.Values(names))
			d.fault(at, kv.Key, "known here: "+strings.Join(sorted, ", "), "unknown key %q", key)
		default:
			d.lines[at] = lineOf(kv.Key)
			d.value(at, kv.Value, v.Field(i))
		}
	}
}

// entries returns the pairs of a map; goccy has a node type of its own for a
// map of one entry.
func entries(n ast.Node) []*ast.MappingValueNode {
	switch n := n.(type) {
	case *ast.MappingNode:
		return n.Values
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{n}
	}
	return nil
}

// text returns a scalar as the document has it.
func text(n ast.Node) (string, bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return n.GetToken().Value, true
	}
	return "", false
}

// lineOf returns the line where n begins, 0 when unknown.
func lineOf(n ast.Node) int {
	if es := entries(n); len(es) > 0 {
		n = es[0].Key
	}
	if n == nil {
		return 0
	}
	if t := n.GetToken(); t != nil && t.Position != nil {
		return t.Position.Line
	}
	return 0
}

// deep reports whether data could nest deeper than maxDepth: by brackets, or by
// hyphens and question marks at the start of a line, or by indentation of more
// than two columns a level.
func deep(data []byte) bool {
	flow := 0
	for line := range strings.Lines(string(data)) {
		lead := strings.TrimLeft(line, " -?")
		if len(line)-len(lead) > 2*maxDepth {
			return true
		}
		flow += strings.Count(line, "[") + strings.Count(line, "{")
		flow -= strings.Count(line, "]") + strings.Count(line, "}")
		if flow = max(flow, 0); flow > maxDepth || strings.Count(line, "[")+strings.Count(line, "{") > 8*maxDepth {
			return true
		}
	}
	return false
}
