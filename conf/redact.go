package conf

import (
	"bytes"
	"fmt"
	"slices"

	"go.yaml.in/yaml/v3"
)

// Redact returns a copy of c in which every secret is three stars, or empty when it came from a named file. It is for people to look at; a process that
// starts from it cannot log in anywhere.
func (c *Config) Redact() *Config {
	r := *c
	r.Warnings = slices.Clone(c.Warnings)
	r.Admin.Token = hide(c.Admin.Token, c.Admin.TokenFile)
	r.Clusters = slices.Clone(c.Clusters)
	for i := range r.Clusters {
		cl := &r.Clusters[i]
		cl.Servers = slices.Clone(cl.Servers)
		cl.Listeners = slices.Clone(cl.Listeners)
		cl.Control.Password = hide(cl.Control.Password, cl.Control.PasswordFile)
		cl.Replication.Password = hide(cl.Replication.Password, cl.Replication.PasswordFile)
		cl.Users = slices.Clone(cl.Users)
		for j := range cl.Users {
			cl.Users[j].Password = hide(cl.Users[j].Password, cl.Users[j].PasswordFile)
		}
	}
	return &r
}

func hide(s Secret, file string) Secret {
	if file != "" {
		return ""
	}
	return Secret(s.String())
}

// YAML writes c with all defaults filled in and every secret hidden.
func (c *Config) YAML() ([]byte, error) {
	var b bytes.Buffer
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	if err := enc.Encode(c.Redact()); err != nil {
		return nil, fmt.Errorf("write the configuration as YAML: %w", err)
	}
	if err := enc.Close(); err != nil {
		return nil, fmt.Errorf("write the configuration as YAML: %w", err)
	}
	return b.Bytes(), nil
}
