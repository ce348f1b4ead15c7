package main

import (
	"encoding"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// showYAML writes v, a JSON-tagged struct, in the form that bindYAML reads.
func showYAML(w io.Writer, v any) error {
	var b strings.Builder
	showFields(&b, reflect.ValueOf(v), "")
	_, err := io.WriteString(w, b.String())
	return err
}

func showFields(b *strings.Builder, v reflect.Value, indent string) {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if flattened(f) {
			showFields(b, v.Field(i), indent)
		} else if name := jsonName(f); name != "" {
			b.WriteString(indent + name + ":")
			showValue(b, v.Field(i), indent)
		}
	}
}

func showValue(b *strings.Builder, v reflect.Value, indent string) {
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			b.WriteString(" null\n")
			return
		}
		v = v.Elem()
	}
	if text, ok := scalarText(v); ok {
		b.WriteString(" " + text + "\n")
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		b.WriteByte('\n')
		showFields(b, v, indent+"  ")
	case reflect.Slice:
		showList(b, v, indent)
	case reflect.Map:
		showMap(b, v, indent)
	}
}

func showList(b *strings.Builder, v reflect.Value, indent string) {
	if v.Len() == 0 {
		b.WriteString(" []\n")
		return
	}
	b.WriteByte('\n')
	for i := range v.Len() {
		if text, ok := scalarText(v.Index(i)); ok {
			b.WriteString(indent + "  - " + text + "\n")
			continue
		}
		var item strings.Builder
		showFields(&item, v.Index(i), indent+"    ")
		b.WriteString(indent + "  - " + strings.TrimPrefix(item.String(), indent+"    "))
	}
}

func showMap(b *strings.Builder, v reflect.Value, indent string) {
	if v.Len() == 0 {
		b.WriteString(" {}\n")
		return
	}
	b.WriteByte('\n')
	var keys []string
	for _, k := range v.MapKeys() {
		keys = append(keys, k.String())
	}
	slices.Sort(keys)
	for _, k := range keys {
		b.WriteString(indent + "  " + quoted(k) + ":")
		showValue(b, v.MapIndex(reflect.ValueOf(k).Convert(v.Type().Key())), indent+"  ")
	}
}

func scalarText(v reflect.Value) (string, bool) {
	if isDuration(v.Type()) {
		if v.Kind() == reflect.Struct {
			v = v.Field(0)
		}
		return spanText(time.Duration(v.Int())), true
	}
	if m, ok := v.Interface().(encoding.TextMarshaler); ok {
		text, err := m.MarshalText()
		if err != nil {
			return "null", true
		}
		return quoted(string(text)), true
	}
	switch v.Kind() {
	case reflect.String:
		return quoted(v.String()), true
	case reflect.Bool, reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Float32, reflect.Float64:
		return fmt.Sprint(v.Interface()), true
	}
	return "", false
}

// spanText writes 1m30s without the zeros that time.Duration adds.
func spanText(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = text[:len(text)-2]
	}
	if strings.HasSuffix(text, "h0m") {
		text = text[:len(text)-2]
	}
	return text
}

var plainText = regexp.MustCompile(`^[A-Za-z/][A-Za-z0-9_./-]*$`)

// quoted writes text so that it is read as text: in double quotes unless it
// cannot be taken for anything else.
func quoted(s string) string {
	switch strings.ToLower(s) {
	case "true", "false", "null", "yes", "no", "on", "off", "y", "n":
		return strconv.Quote(s)
	}
	if plainText.MatchString(s) {
		return s
	}
	return strconv.Quote(s)
}
