package config

import (
	"encoding"
	"fmt"
	"net/netip"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"github.com/ztos/ztos/engine/table"
)

// Marshal writes n as YAML. Zero values are left out, so Parse reads back n as
// Defaults completes it. Comments of the document that n came from are gone. It
// does not validate; the error says which value has no written form.
func Marshal(n *Node) ([]byte, error) {
	var b strings.Builder
	if err := encode(&b, "", reflect.ValueOf(n).Elem()); err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	return []byte(b.String()), nil
}

// encode writes the struct v, one line per key, each after indent; the first
// line of a list's entry is already indented by its hyphen.
func encode(b *strings.Builder, indent string, v reflect.Value) error {
	pad := ""
	if strings.HasSuffix(b.String(), "\n") || b.Len() == 0 {
		pad = indent
	}
	wrote := false
	for i := range v.NumField() {
		name, opt, _ := strings.Cut(v.Type().Field(i).Tag.Get("yaml"), ",")
		f := v.Field(i)
		if f.IsZero() && opt != "keep" {
			continue
		}
		if f.Kind() == reflect.Pointer {
			f = f.Elem()
		}
		b.WriteString(pad + name + ":")
		pad, wrote = indent, true
		if err := encodeField(b, indent, f); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	if !wrote {
		b.WriteString(pad + "{}\n")
	}
	return nil
}

// encodeField writes what follows a key's colon, to the end of its last line.
func encodeField(b *strings.Builder, indent string, f reflect.Value) error {
	if s, ok, err := scalarText(f); ok || err != nil {
		b.WriteString(" " + s + "\n")
		return err
	}
	if f.Kind() == reflect.Struct {
		if f.IsZero() {
			b.WriteString(" {}\n")
			return nil
		}
		b.WriteByte('\n')
		return encode(b, indent+"  ", f)
	}
	// A list: of scalars on one line, of structs one entry per hyphen.
	var words []string
	for i := range f.Len() {
		s, ok, err := scalarText(f.Index(i))
		if err != nil {
			return err
		}
		if ok {
			words = append(words, s)
			continue
		}
		if i == 0 {
			b.WriteByte('\n')
		}
		b.WriteString(indent + "- ")
		if err := encode(b, indent+"  ", f.Index(i)); err != nil {
			return fmt.Errorf("[%d]: %w", i, err)
		}
	}
	if words != nil || f.Len() == 0 {
		b.WriteString(" [" + strings.Join(words, ", ") + "]\n")
	}
	return nil
}

// scalarText returns v as one YAML word; ok is false for structs and lists.
func scalarText(v reflect.Value) (s string, ok bool, err error) {
	switch t := v.Interface().(type) {
	case Switch:
		return t.String(), true, nil
	case table.MAC:
		return strconv.Quote(t.String()), true, nil
	case SCI: // digits only would be a number to other readers
		return strconv.Quote(t.String()), true, nil
	case netip.AddrPort:
		if t.IsValid() && t.Port() == 0 {
			return quote(t.Addr().String()), true, nil
		}
		return quote(t.String()), true, nil
	case encoding.TextMarshaler:
		text, err := t.MarshalText()
		if err == nil && len(text) == 0 {
			err = fmt.Errorf("%v of type %T has no written form", v.Interface(), v.Interface())
		}
		return quote(string(text)), true, err
	}
	switch v.Kind() {
	case reflect.String:
		return quote(v.String()), true, nil
	case reflect.Bool:
		return strconv.FormatBool(v.Bool()), true, nil
	case reflect.Int:
		return strconv.FormatInt(v.Int(), 10), true, nil
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return strconv.FormatUint(v.Uint(), 10), true, nil
	}
	return "", false, nil
}

// plainRE is what needs no quotes, also inside [a, b]: no indicator of YAML, and
// no colon, which IPv6 addresses have.
var plainRE = regexp.MustCompile(`^[a-zA-Z/][a-zA-Z0-9/._+=-]*$|^[0-9]+(\.[0-9]+){3}(/[0-9]+|:[0-9]+)?$|^[0-9]+(ms|s|m|h)[0-9a-z]*$`)

// quote returns s as a YAML word that reads back as the same string.
func quote(s string) string {
	switch strings.ToLower(s) {
	case "true", "false", "null", "yes", "no", "on", "off", "y", "n":
		return strconv.Quote(s)
	}
	if plainRE.MatchString(s) {
		return s
	}
	return strconv.Quote(s)
}
