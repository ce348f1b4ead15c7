package main

import (
	"reflect"
	"strings"
)

// jsonName is the key of a field, or "" where none may be written. Configuration
// structs are JSON-tagged in their packages; the file's form follows from that.
func jsonName(f reflect.StructField) string {
	if !f.IsExported() {
		return ""
	}
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	if name == "-" || name == "" {
		return ""
	}
	return name
}

// flattened says whether a field's own fields stand in its place.
func flattened(f reflect.StructField) bool {
	return f.Anonymous && f.Type.Kind() == reflect.Struct && f.Tag.Get("json") == ""
}

func fieldsOf(v reflect.Value) map[string]reflect.Value {
	all := make(map[string]reflect.Value, v.NumField())
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if flattened(f) {
			for name, inner := range fieldsOf(v.Field(i)) {
				all[name] = inner
			}
		} else if name := jsonName(f); name != "" {
			all[name] = v.Field(i)
		}
	}
	return all
}

// fieldNames are in the order of the struct.
func fieldNames(t reflect.Type) []string {
	var all []string
	for i := range t.NumField() {
		f := t.Field(i)
		if flattened(f) {
			all = append(all, fieldNames(f.Type)...)
		} else if name := jsonName(f); name != "" {
			all = append(all, name)
		}
	}
	return all
}

func listed(names []string) string { return strings.Join(names, ", ") }
