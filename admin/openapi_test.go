package admin

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/onewriter/onewriter/admin/api"
)

// schema is what this test reads of one in the document.
type schema struct {
	Type       any               `json:"type"`
	Ref        string            `json:"$ref"`
	OneOf      []schema          `json:"oneOf"`
	Items      *schema           `json:"items"`
	Properties map[string]schema `json:"properties"`
	Required   []string          `json:"required"`
}

// TestOpenAPIMatchesAnswers checks that the document describes the fields of every answer and request as Go encodes them:
// their names, their types, which are always there, and which may be null.
func TestOpenAPIMatchesAnswers(t *testing.T) {
	var doc struct {
		Components struct {
			Schemas map[string]schema `json:"schemas"`
		} `json:"components"`
	}
	if err := json.Unmarshal(openAPIDocument, &doc); err != nil {
		t.Fatal(err)
	}
	schemas := doc.Components.Schemas
	seen := map[string]bool{}
	var visit func(reflect.Type)
	visit = func(typ reflect.Type) {
		for typ.Kind() == reflect.Pointer || typ.Kind() == reflect.Slice || typ.Kind() == reflect.Map {
			typ = typ.Elem()
		}
		if typ.Kind() != reflect.Struct || typ == reflect.TypeFor[time.Time]() || seen[typ.Name()] {
			return
		}
		seen[typ.Name()] = true
		compareSchema(t, typ, schemas[typ.Name()], strings.HasSuffix(typ.Name(), "Request"))
		for i := range typ.NumField() {
			visit(typ.Field(i).Type)
		}
	}
	for _, v := range []any{
		api.Clusters{}, api.Sessions{}, api.Doctor{}, api.SelfTest{}, api.History{}, api.Health{}, api.Problem{}, api.Report{},
		api.SwitchoverRequest{}, api.Switchover{}, api.FailoverRequest{}, api.Failover{}, api.RejoinRequest{}, api.Rejoin{},
	} {
		visit(reflect.TypeOf(v))
	}
	for name := range schemas {
		if !seen[name] {
			t.Errorf("the schema %s describes nothing that is answered", name)
		}
	}
}

func compareSchema(t *testing.T, typ reflect.Type, s schema, request bool) {
	t.Helper()
	var names, always []string
	for i := range typ.NumField() {
		f := typ.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		names = append(names, name)
		omitted := strings.Contains(options, "omitempty") || strings.Contains(options, "omitzero")
		if !omitted {
			always = append(always, name)
		}
		want, nullable := jsonType(f.Type)
		if got, null := s.Properties[name].shape(); got != want || null != (nullable && !omitted) {
			t.Errorf("%s.%s is described as %s (null: %t), and is %s (null: %t)", typ.Name(), name, got, null, want, nullable && !omitted)
		}
	}
	slices.Sort(names)
	if described := slices.Sorted(maps.Keys(s.Properties)); !slices.Equal(described, names) {
		t.Errorf("%s has the fields %q, and described are %q", typ.Name(), names, described)
	}
	slices.Sort(always)
	if required := slices.Sorted(slices.Values(s.Required)); !request && !slices.Equal(required, always) {
		t.Errorf("of %s always there are %q, and said to be %q", typ.Name(), always, required)
	}
}

// shape is the type of a value in words, and whether it may be null.
func (s schema) shape() (name string, null bool) {
	if s.Ref != "" {
		return s.Ref[strings.LastIndexByte(s.Ref, '/')+1:], false
	}
	if len(s.OneOf) > 0 {
		for _, o := range s.OneOf {
			if o.Type == "null" {
				null = true
			} else {
				name, _ = o.shape()
			}
		}
		return name, null
	}
	switch typ := s.Type.(type) {
	case string:
		name = typ
	case []any:
		for _, x := range typ {
			if x == "null" {
				null = true
			} else {
				name, _ = x.(string)
			}
		}
	}
	if name == "array" && s.Items != nil {
		item, _ := s.Items.shape()
		name += " of " + item
	}
	return name, null
}

// jsonType is the same for a Go type. Lists are never null: the endpoint sees to that.
func jsonType(typ reflect.Type) (name string, null bool) {
	switch typ.Kind() {
	case reflect.Pointer:
		name, _ = jsonType(typ.Elem())
		return name, true
	case reflect.Slice:
		item, _ := jsonType(typ.Elem())
		return "array of " + item, false
	case reflect.Map:
		return "object", false
	case reflect.Struct:
		if typ == reflect.TypeFor[time.Time]() {
			return "string", false
		}
		return typ.Name(), false
	case reflect.Bool:
		return "boolean", false
	case reflect.String:
		return "string", false
	case reflect.Float64:
		return "number", false
	default:
		return "integer", false
	}
}
