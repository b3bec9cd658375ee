package conf

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"

	"github.com/go-viper/mapstructure/v2"
	"github.com/spf13/viper"
	"go.yaml.in/yaml/v3"
)

// maxFileSize bounds the configuration file and each secret file, in bytes.
const maxFileSize = 1 << 20

// Source is where a configuration comes from.
type Source struct {
	// Name is what messages call the file.
	Name string
	// Data is the YAML text.
	Data []byte
	// Dir is the directory that relative file names in the configuration start from.
	Dir string
	// Environ is the environment, NAME=value each, as os.Environ gives it.
	Environ []string
}

// Load reads the file at path, with overrides from the environment of the process. The error is an *Error with every
// problem, or says why the file cannot be read.
func Load(path string) (*Config, error) {
	whole, err := filepath.Abs(path) // in messages: a unit file or a container has a working directory of its own
	if err != nil {
		return nil, fmt.Errorf("read the configuration: %w", err)
	}
	data, err := readFile(whole)
	if err != nil {
		return nil, fmt.Errorf("read the configuration: %w", err)
	}
	return Parse(Source{Name: path, Data: data, Dir: filepath.Dir(whole), Environ: os.Environ()})
}

// Parse turns src into a Config. The error is an *Error with every problem.
func Parse(src Source) (*Config, error) {
	w := &walker{env: newEnvironment(src.Environ), lines: map[string]int{}, fromEnv: map[string]string{}, explicit: map[string]bool{}}
	root, err := parseYAML(src.Data)
	if err != nil {
		return nil, &Error{File: src.Name, Problems: []Problem{unreadable(src.Data, err)}}
	}
	values := w.object(root, reflect.TypeFor[Config](), "")
	cfg, err := decode(values)
	if err != nil {
		// The walker has checked names and types, so this is a contradiction between it and the structs.
		return nil, &Error{File: src.Name, Problems: append(w.problems, Problem{Text: err.Error()})}
	}
	v := &validator{walker: w, dir: src.Dir, cfg: cfg}
	v.run()
	sortProblems(w.problems)
	sortProblems(v.warnings)
	if len(w.problems) > 0 {
		return nil, &Error{File: src.Name, Problems: w.problems}
	}
	cfg.Warnings = v.warnings
	return cfg, nil
}

// decode lets a fresh viper turn the checked values into the structs. A fresh one, because viper's own state would
// let keys of an earlier load live on.
func decode(values map[string]any) (*Config, error) {
	v := viper.New()
	if err := v.MergeConfigMap(values); err != nil {
		return nil, fmt.Errorf("merge: %w", err)
	}
	var cfg Config
	byYAMLTag := func(c *mapstructure.DecoderConfig) { c.TagName = "yaml" }
	if err := v.UnmarshalExact(&cfg, byYAMLTag); err != nil {
		return nil, fmt.Errorf("decode: %w", err)
	}
	return &cfg, nil
}

// parseYAML returns the root mapping, nil for an empty file.
func parseYAML(data []byte) (*yaml.Node, error) {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc yaml.Node
	if err := dec.Decode(&doc); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, nil //nolint:nilnil // an empty file is a mapping without keys
		}
		return nil, err
	}
	var second yaml.Node
	if err := dec.Decode(&second); !errors.Is(err, io.EOF) {
		return nil, errors.New("the file holds more than one YAML document")
	}
	if len(doc.Content) == 0 {
		return nil, nil //nolint:nilnil // comments only
	}
	return doc.Content[0], nil
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // only read from
	data, err := io.ReadAll(io.LimitReader(f, maxFileSize+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxFileSize {
		return nil, fmt.Errorf("%s is larger than %d bytes", path, maxFileSize)
	}
	return data, nil
}
