package main

import (
	"encoding"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

const (
	// configBytesMax bounds a configuration file; a longer one is refused.
	configBytesMax = 256 << 10
	// configDepthMax bounds how deep its values are nested; deeper is a mistake.
	configDepthMax = 16
)

// binder maps a YAML tree onto a JSON-tagged struct, collects every mistake,
// and remembers where each path stands, so that what Validate finds later can
// be shown in the file too.
type binder struct {
	where map[string]place
	wrong []mistake
	meant []string // paths that a misspelt key probably stood for
}

type place struct{ line, column int }

// bindYAML reads text into to, a pointer to a struct.
func bindYAML(text []byte, to any) *binder {
	b := &binder{where: map[string]place{"": {1, 1}}}
	if len(text) > configBytesMax {
		b.say(place{1, 1}, "", "%d bytes: at most %d", len(text), configBytesMax)
		return b
	}
	// Without their CR: the lexer counts the end of a comment with CR and LF as two lines.
	tokens := lexer.Tokenize(strings.ReplaceAll(string(text), "\r\n", "\n"))
	if t := tooDeep(tokens); t != nil {
		b.say(place{t.Position.Line, t.Position.Column}, "", "nested too deep: at most %d levels", configDepthMax)
		return b
	}
	file, err := parser.Parse(tokens, 0)
	if err != nil {
		b.syntax(err)
		return b
	}
	var bodies []ast.Node
	for _, doc := range file.Docs {
		if doc.Body != nil && doc.Body.Type() != ast.CommentType {
			bodies = append(bodies, doc.Body)
		}
	}
	if len(bodies) > 1 {
		b.say(at(bodies[1]), "", "a second document: one file holds one configuration")
		return b
	}
	if len(bodies) == 1 {
		b.bind(bodies[0], reflect.ValueOf(to).Elem(), "", 0)
	}
	return b
}

// tooDeep gives the token with which values stand too deep in each other, by
// brackets or because they begin on one line; nil where none does. It is asked
// between lexer and parser, since the parser calls itself for each level and the
// lexer does not, and only the lexer knows which dashes and brackets are not
// part of a comment or a text.
func tooDeep(tokens token.Tokens) *token.Token {
	open, begun, line := 0, 0, 0
	wanting := false // after a tag or an anchor, whose value may stand on the next line
	var last token.Type
	for _, t := range tokens {
		if t.Type == token.CommentType {
			continue
		}
		if t.Position.Line != line && !wanting {
			begun = 0
		}
		wanting = t.Type == token.TagType || t.Type == token.AnchorType || last == token.AnchorType // the last: its name
		line, last = t.Position.Line, t.Type
		switch t.Type {
		case token.SequenceStartType, token.MappingStartType:
			open++
		case token.SequenceEndType, token.MappingEndType:
			open = max(0, open-1)
		case token.SequenceEntryType, token.MappingKeyType, token.TagType, token.AnchorType:
			begun++
		}
		if open+begun > configDepthMax {
			return t
		}
	}
	return nil
}

func (b *binder) syntax(err error) {
	var s *yaml.SyntaxError
	if errors.As(err, &s) && s.Token != nil && s.Token.Position != nil {
		b.say(place{s.Token.Position.Line, s.Token.Position.Column}, "", "%s", advised(s.Message))
		return
	}
	b.say(place{1, 1}, "", "%s", strings.ReplaceAll(err.Error(), "\n", " "))
}

// advised adds to the parser's words what is usually meant.
func advised(message string) string {
	switch {
	case strings.Contains(message, "not allowed in this context"):
		return message + ": indent it as far as its neighbours"
	case strings.Contains(message, "already defined"):
		return message + ": keep one of the two"
	}
	return message
}

func (b *binder) say(where place, path, format string, args ...any) {
	b.wrong = append(b.wrong, mistake{where.line, where.column, path, fmt.Sprintf(format, args...)})
}

func at(n ast.Node) place {
	if m, ok := n.(*ast.MappingNode); ok && len(m.Values) > 0 && !m.IsFlowStyle {
		n = m.Values[0].Key
	}
	t := n.GetToken()
	if t == nil || t.Position == nil {
		return place{1, 1}
	}
	return place{t.Position.Line, t.Position.Column}
}

var (
	textType     = reflect.TypeFor[encoding.TextUnmarshaler]()
	durationType = reflect.TypeFor[time.Duration]()
)

// isDuration knows time.Duration, and a struct that embeds it as its text form.
func isDuration(t reflect.Type) bool {
	return t == durationType ||
		t.Kind() == reflect.Struct && t.NumField() > 0 && t.Field(0).Anonymous && t.Field(0).Type == durationType
}

func (b *binder) bind(n ast.Node, to reflect.Value, path string, depth int) {
	if path != "" {
		b.where[path] = at(n)
	}
	if depth > configDepthMax {
		b.say(at(n), path, "nested too deep")
		return
	}
	switch x := n.(type) {
	case *ast.NullNode:
		return // as if it were not written
	case *ast.AnchorNode, *ast.AliasNode, *ast.MergeKeyNode, *ast.TagNode:
		b.say(at(n), path, "anchors, aliases and tags are not read here: write the value out")
		return
	case *ast.MappingValueNode: // a mapping of one
		n = &ast.MappingNode{BaseNode: &ast.BaseNode{}, Start: x.Start, Values: []*ast.MappingValueNode{x}}
	}
	if to.Kind() == reflect.Pointer {
		if to.IsNil() {
			to.Set(reflect.New(to.Type().Elem()))
		}
		to = to.Elem()
	}
	switch {
	case isDuration(to.Type()):
		if to.Kind() == reflect.Struct {
			to = to.Field(0)
		}
		b.bindDuration(n, to, path)
	case to.CanAddr() && to.Addr().Type().Implements(textType):
		if text, ok := b.text(n, path); ok {
			if err := to.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(text)); err != nil {
				b.say(at(n), path, "%q: %s", text, instead(to.Type(), err))
			}
		}
	case to.Kind() == reflect.Struct:
		b.bindStruct(n, to, path, depth)
	case to.Kind() == reflect.Slice:
		b.bindList(n, to, path, depth)
	case to.Kind() == reflect.Map && to.Type().Key().Kind() == reflect.String:
		b.bindMap(n, to, path, depth)
	default:
		b.bindScalar(n, to, path)
	}
}

func (b *binder) bindStruct(n ast.Node, to reflect.Value, path string, depth int) {
	m, ok := n.(*ast.MappingNode)
	if !ok {
		b.say(at(n), path, "%s found: write keys with values, among them %s", found(n), listed(fieldNames(to.Type())))
		return
	}
	fields := fieldsOf(to)
	for _, pair := range m.Values {
		key := keyText(pair.Key)
		field, ok := fields[key]
		if !ok {
			names := fieldNames(to.Type())
			if near := nearest(key, names); near != "" {
				b.say(at(pair.Key), join(path, key), "unknown key: did you mean %s?", near)
				b.meant = append(b.meant, join(path, near))
			} else {
				b.say(at(pair.Key), join(path, key), "unknown key: known here are %s", listed(names))
			}
			continue
		}
		b.bind(pair.Value, field, join(path, key), depth+1)
	}
}

func (b *binder) bindList(n ast.Node, to reflect.Value, path string, depth int) {
	list, ok := n.(*ast.SequenceNode)
	if !ok {
		b.say(at(n), path, "%s found: write a list, as in [%s]", found(n), sample(n))
		return
	}
	all := reflect.MakeSlice(to.Type(), len(list.Values), len(list.Values))
	for i, v := range list.Values {
		b.bind(v, all.Index(i), path+"["+strconv.Itoa(i)+"]", depth+1)
	}
	to.Set(all)
}

func (b *binder) bindMap(n ast.Node, to reflect.Value, path string, depth int) {
	m, ok := n.(*ast.MappingNode)
	if !ok {
		b.say(at(n), path, "%s found: write keys with values", found(n))
		return
	}
	all := reflect.MakeMapWithSize(to.Type(), len(m.Values))
	for _, pair := range m.Values {
		v := reflect.New(to.Type().Elem()).Elem()
		b.bind(pair.Value, v, join(path, keyText(pair.Key)), depth+1)
		all.SetMapIndex(reflect.ValueOf(keyText(pair.Key)).Convert(to.Type().Key()), v)
	}
	to.Set(all)
}

func (b *binder) bindDuration(n ast.Node, to reflect.Value, path string) {
	if i, ok := n.(*ast.IntegerNode); ok {
		if fmt.Sprint(i.Value) == "0" {
			to.SetInt(0)
			return
		}
		b.say(at(n), path, "%v has no unit: write %vs for seconds, or %vms", i.Value, i.Value, i.Value)
		return
	}
	text, ok := b.text(n, path)
	if !ok {
		return
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		b.say(at(n), path, "%q is no span of time: write it as in 250ms, 10s, 5m or 1h", text)
		return
	}
	to.SetInt(int64(d))
}

func (b *binder) bindScalar(n ast.Node, to reflect.Value, path string) {
	switch to.Kind() {
	case reflect.String:
		if text, ok := b.text(n, path); ok {
			to.SetString(text)
		}
	case reflect.Bool:
		if x, ok := n.(*ast.BoolNode); ok {
			to.SetBool(x.Value)
			return
		}
		b.say(at(n), path, "%s found: write true or false", found(n))
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		if i, ok := b.whole(n, path); ok {
			if to.OverflowInt(i) {
				b.say(at(n), path, "%d is too large", i)
				return
			}
			to.SetInt(i)
		}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		if i, ok := b.whole(n, path); ok {
			if i < 0 || to.OverflowUint(uint64(i)) {
				b.say(at(n), path, "%d: between 0 and %d", i, uint64(math.MaxUint64)>>(64-to.Type().Bits()))
				return
			}
			to.SetUint(uint64(i))
		}
	case reflect.Float32, reflect.Float64:
		switch x := n.(type) {
		case *ast.FloatNode:
			to.SetFloat(x.Value)
		default:
			if i, ok := b.whole(n, path); ok {
				to.SetFloat(float64(i))
			}
		}
	default:
		b.say(at(n), path, "cannot be set in a file")
	}
}

func (b *binder) whole(n ast.Node, path string) (int64, bool) {
	x, ok := n.(*ast.IntegerNode)
	if !ok {
		b.say(at(n), path, "%s found: write a whole number", found(n))
		return 0, false
	}
	i, err := strconv.ParseInt(fmt.Sprint(x.Value), 10, 64)
	if err != nil {
		b.say(at(n), path, "%v is too large", x.Value)
		return 0, false
	}
	return i, true
}

func (b *binder) text(n ast.Node, path string) (string, bool) {
	switch x := n.(type) {
	case *ast.StringNode:
		return x.Value, true
	case *ast.LiteralNode:
		return x.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		b.say(at(n), path, "%s found: write text, as in %q", found(n), n.GetToken().Value)
		return "", false
	}
	b.say(at(n), path, "%s found: write text", found(n))
	return "", false
}

// found names what stands in the file, for people.
func found(n ast.Node) string {
	switch n.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		return "keys with values"
	case *ast.SequenceNode:
		return "a list"
	case *ast.StringNode, *ast.LiteralNode:
		return "text"
	case *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		return "a number"
	case *ast.BoolNode:
		return "true or false"
	}
	return "something else"
}

// sample is the value itself where it is short, to show it in its right shape.
func sample(n ast.Node) string {
	switch n.(type) {
	case *ast.StringNode, *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		if v := n.GetToken().Value; len(v) < 64 {
			return v
		}
	}
	return "…"
}

func keyText(k ast.MapKeyNode) string {
	if s, ok := k.(*ast.StringNode); ok {
		return s.Value
	}
	return k.String()
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// instead says what to write where a text was not understood.
func instead(t reflect.Type, err error) string {
	switch t {
	case reflect.TypeFor[netip.Prefix]():
		return "write a prefix, as in 192.0.2.0/24, 192.0.2.1/32 or 2001:db8::/48"
	case reflect.TypeFor[netip.Addr]():
		return "write an address, as in 192.0.2.1 or 2001:db8::1"
	}
	return err.Error()
}
