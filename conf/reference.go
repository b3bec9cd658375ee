package conf

import (
	"embed"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"reflect"
	"regexp"
	"strings"
)

// sources are the files whose comments are the reference. They travel in the binary, so that `onewriter config
// reference` always describes the version it is run from.
//
//go:embed config.go listener.go tls.go failover.go fencing.go limits.go proxyprotocol.go
var sources embed.FS

// Reference writes the page docs/configuration.md from the structs and their comments.
func Reference() (string, error) {
	docs, err := fieldDocs()
	if err != nil {
		return "", err
	}
	var b strings.Builder
	b.WriteString(referenceHead)
	section(&b, docs, reflect.TypeFor[Config](), "", "The whole file")
	return b.String(), nil
}

const referenceHead = "# Configuration reference\n\n" +
	"This page is written by `onewriter config reference`; a test keeps it equal to the program.\n\n" +
	"The file is YAML. Unknown keys, values without a unit and contradictions are errors that name the key, the line and\n" +
	"what to write instead; `onewriter config check FILE` shows all of them at once. `onewriter config print FILE` shows\n" +
	"what is in force, defaults included and secrets hidden.\n\n" +
	"- Every key can be overridden by an environment variable: `ONEWRITER_`, then the key's path in capitals with `_`\n" +
	"  between the parts. Entries of lists have their number, counted from 0: `ONEWRITER_ADMIN_ADDRESS`,\n" +
	"  `ONEWRITER_CLUSTERS_0_CONTROL_USER`. Only entries that the file has can be overridden. A variable of\n" +
	"  such a name that is no option is an error where an option has nearly that name, else a warning; those that Kubernetes sets\n" +
	"  for a Service called `onewriter` are passed over.\n" +
	"- `${NAME}` in a value is replaced by the environment variable `NAME`, which must be set; `$$` is a dollar sign.\n" +
	"- Secrets can come from a file (`password_file`, `token_file`). Relative file names start from the directory of the\n" +
	"  configuration file.\n" +
	"- Durations have a unit: `250ms`, `5s`, `2m`, `1h`.\n\n"

func section(b *strings.Builder, docs map[string]string, t reflect.Type, path, title string) {
	fmt.Fprintf(b, "## %s\n\n", title)
	if doc := docs[t.Name()]; doc != "" && path != "" {
		fmt.Fprintf(b, "%s\n\n", plain(doc, t.Name(), "This group"))
	}
	b.WriteString("| key | default | meaning |\n|---|---|---|\n")
	for _, f := range fieldsOf(t) {
		fmt.Fprintf(b, "| `%s` | %s | %s%s |\n", f.key, defaultText(f), plain(docs[t.Name()+"."+f.name], f.name, "`"+f.key+"`"), bounds(f))
	}
	b.WriteString("\n")
	for _, f := range fieldsOf(t) {
		child := join(path, f.key)
		switch f.typ.Kind() {
		case reflect.Struct:
			section(b, docs, f.typ, child, "`"+child+"`")
		case reflect.Slice:
			if f.typ.Elem().Kind() == reflect.Struct {
				section(b, docs, f.typ.Elem(), child+"[]", "`"+child+"[]`")
			}
		}
	}
}

func defaultText(f field) string {
	switch {
	case f.required:
		return "required"
	case f.def != "":
		return "`" + f.def + "`"
	case f.typ.Kind() == reflect.Struct:
		return "see below"
	default:
		return "none"
	}
}

func bounds(f field) string {
	var parts []string
	if f.enum != nil {
		parts = append(parts, "One of `"+strings.Join(f.enum, "`, `")+"`.")
	}
	if f.min != "" {
		parts = append(parts, "From `"+f.min+"` to `"+f.max+"`.")
	}
	if len(parts) == 0 {
		return ""
	}
	return " " + strings.Join(parts, " ")
}

// plain turns a Go comment that begins with the Go name into a sentence that begins with the key.
func plain(doc, goName, key string) string {
	doc = strings.Join(strings.Fields(doc), " ")
	doc = regexp.MustCompile(`^`+regexp.QuoteMeta(goName)+`\b`).ReplaceAllString(doc, key)
	return strings.ReplaceAll(doc, "|", "\\|")
}

// fieldDocs reads the comments of all structs: "Cluster" and "Cluster.Name" are keys of the result.
func fieldDocs() (map[string]string, error) {
	entries, err := sources.ReadDir(".")
	if err != nil {
		return nil, fmt.Errorf("read the embedded sources: %w", err)
	}
	docs := map[string]string{}
	for _, e := range entries {
		text, err := sources.ReadFile(e.Name())
		if err != nil {
			return nil, fmt.Errorf("read the embedded sources: %w", err)
		}
		file, err := parser.ParseFile(token.NewFileSet(), e.Name(), text, parser.ParseComments)
		if err != nil {
			return nil, fmt.Errorf("parse the embedded sources: %w", err)
		}
		for _, decl := range file.Decls {
			collect(docs, decl)
		}
	}
	return docs, nil
}

func collect(docs map[string]string, decl ast.Decl) {
	gen, ok := decl.(*ast.GenDecl)
	if !ok || gen.Tok != token.TYPE {
		return
	}
	for _, spec := range gen.Specs {
		ts, ok := spec.(*ast.TypeSpec)
		if !ok {
			continue
		}
		docs[ts.Name.Name] = gen.Doc.Text()
		st, ok := ts.Type.(*ast.StructType)
		if !ok {
			continue
		}
		for _, f := range st.Fields.List {
			for _, name := range f.Names {
				docs[ts.Name.Name+"."+name.Name] = f.Doc.Text()
			}
		}
	}
}
