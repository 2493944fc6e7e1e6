package config

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
)

// maxSecret is how long a value that a ${…} stands for may be.
const maxSecret = 64 << 10

// expand replaces the references in a value:
//
//	${env:NAME}            an environment variable; a mistake where it is not set
//	${env:NAME:-default}   the default where it is not set or empty
//	${file:/path}          what the file holds, without its last line break
//	${cred:NAME}           the same of a file in $CREDENTIALS_DIRECTORY (systemd LoadCredential=)
//	$${                    ${ itself
//
// found says whether there was a reference; what it stood for is then secret.
func expand(text string, getenv func(string) (string, bool)) (out string, found bool, err error) {
	var b strings.Builder
	for {
		i := strings.Index(text, "${")
		if i < 0 {
			b.WriteString(text)
			return b.String(), found, nil
		}
		if i > 0 && text[i-1] == '$' {
			b.WriteString(text[:i-1] + "${")
			text = text[i+2:]
			continue
		}
		b.WriteString(text[:i])
		ref, rest, closed := strings.Cut(text[i+2:], "}")
		if !closed {
			return "", true, fmt.Errorf("${ without its }; write $${ where no reference is meant")
		}
		value, err := resolve(ref, getenv)
		if err != nil {
			return "", true, err
		}
		b.WriteString(value)
		text, found = rest, true
		if b.Len() > maxSecret {
			return "", true, fmt.Errorf("the references stand for more than %d KiB", maxSecret>>10)
		}
	}
}

func resolve(ref string, getenv func(string) (string, bool)) (string, error) {
	scheme, name, _ := strings.Cut(ref, ":")
	switch scheme {
	case "env":
		name, fallback, hasFallback := strings.Cut(name, ":-")
		value, set := getenv(name)
		if hasFallback && value == "" {
			return fallback, nil
		}
		if !set {
			return "", fmt.Errorf("the environment variable %s is not set; set it or write ${env:%[1]s:-default}", name)
		}
		return value, nil
	case "file":
		if !filepath.IsAbs(name) {
			return "", fmt.Errorf("${file:…} needs an absolute path, not %s", quote(name))
		}
		return readSecret(name)
	case "cred":
		dir, set := getenv("CREDENTIALS_DIRECTORY")
		if !set || dir == "" {
			return "", fmt.Errorf("the credential %s is not here: CREDENTIALS_DIRECTORY is not set; "+
				"it comes from LoadCredential= in the unit", quote(name))
		}
		if name == "" || name != filepath.Base(name) || name == ".." || name == "." {
			return "", fmt.Errorf("%s is no name of a credential", quote(name))
		}
		return readSecret(filepath.Join(dir, name))
	}
	return "", fmt.Errorf("unknown reference %s; known are ${env:NAME}, ${file:/path} and ${cred:NAME}, and $${ for the characters themselves",
		quote("${"+ref+"}"))
}

// readSecret reads a regular file and takes one line break from its end. Opening does not block on a FIFO.
func readSecret(path string) (string, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
	if err != nil {
		return "", err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() {
		return "", fmt.Errorf("%s is not a regular file", path)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	if err != nil {
		return "", err
	}
	if len(data) > maxSecret {
		return "", fmt.Errorf("%s is longer than %d KiB", path, maxSecret>>10)
	}
	value := strings.TrimSuffix(string(data), "\n")
	return strings.TrimSuffix(value, "\r"), nil
}

// reference finds ${file:/path} and ${cred:NAME}; one that is escaped is found too, which harms nobody.
var reference = regexp.MustCompile(`\$\{(file|cred):([^}]+)\}`)

// referred are the files that the references of a value stand for.
func referred(text string, getenv func(string) (string, bool)) (files []string) {
	for _, m := range reference.FindAllStringSubmatch(text, -1) {
		path := m[2]
		if m[1] == "cred" {
			dir, _ := getenv("CREDENTIALS_DIRECTORY")
			path = filepath.Join(dir, m[2])
		}
		files = append(files, path)
	}
	return files
}
