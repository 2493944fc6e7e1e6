package config

import (
	"bytes"
	"fmt"
	"io"
	"os"
)

// maxFile is how long a configuration may be.
const maxFile = 1 << 20

// Load reads the file at path. The error is Errors where the file could be read and has mistakes; it wraps
// fs.ErrNotExist where there is no file.
func Load(path string) (*Config, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read the configuration: %w", err)
	}
	defer f.Close()
	return Read(path, f)
}

// Read reads a configuration from r; name stands for it in messages.
func Read(name string, r io.Reader) (*Config, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("read the configuration: %w", err)
	}
	return Parse(name, data)
}

// Parse reads a configuration of at most 1 MiB; file stands for it in messages. References (${env:…}, ${file:…},
// ${cred:…}) are resolved in the process's environment. An error is always Errors: every mistake at once.
func Parse(file string, data []byte) (*Config, error) {
	return parse(file, data, os.LookupEnv)
}

func parse(file string, data []byte, getenv func(string) (string, bool)) (*Config, error) {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	src := newSource(file, data)
	if !src.readable(data) {
		return nil, src.result()
	}
	root := &node{spec: schema, at: place{1, 1}}
	if body, whole := src.parseTree(); body != nil {
		d := &decoder{src: src, getenv: getenv, anchors: anchorsOf(body), whole: whole}
		root = d.value(body, schema, place{1, 1}, "configuration")
	}
	complete(root)
	for _, rule := range rules {
		rule(root, src)
	}
	if err := src.result(); err != nil {
		return nil, err
	}
	return build(file, root), nil
}

// Default is the configuration where there is no file: a sidecar and a dashboard on loopback, observing only, with no
// service and no balancer named.
func Default() *Config {
	root := &node{spec: schema}
	health := &node{spec: schema.lookup("", "health")}
	root.put("health", place{}, health)
	complete(root)
	return build("", root)
}
