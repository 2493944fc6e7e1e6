package durable

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// accessList is where a POSIX access list is kept (acl(5)).
const accessList = "system.posix_acl_access"

// copyAttributes gives the new file the extended attributes of the old one, its access list among them. An access list
// that only the new file has, from its folder's default, is taken away.
//
// Labels of the security modules are copied where the system allows it. Attributes that cannot be kept there are left
// out, but never an access list: who may read the file must not change in silence.
func copyAttributes(from string, to int) error {
	names, err := list(from)
	if err != nil {
		return fmt.Errorf("list the extended attributes of %s: %w", from, err)
	}
	listed := false
	for _, name := range names {
		// The hash and the signature of the old bytes would condemn the new ones.
		if name == "security.ima" || name == "security.evm" {
			continue
		}
		listed = listed || name == accessList
		if err := copyAttribute(from, to, name); err != nil && !mayMiss(name, err) {
			return fmt.Errorf("copy %s of %s: %w", name, from, err)
		}
	}
	if !listed {
		err := unix.Fremovexattr(to, accessList)
		if err != nil && !errors.Is(err, unix.ENODATA) && !errors.Is(err, unix.ENOTSUP) {
			return fmt.Errorf("take away the access list that the folder of %s gives: %w", from, err)
		}
	}
	return nil
}

func mayMiss(name string, err error) bool {
	return strings.HasPrefix(name, "security.") || name != accessList && errors.Is(err, unix.ENOTSUP)
}

// maxAttribute is the largest value, and the longest list of names, that Linux has (xattr(7)).
const maxAttribute = 64 << 10

func list(path string) ([]string, error) {
	buf := make([]byte, maxAttribute)
	n, err := unix.Llistxattr(path, buf)
	if errors.Is(err, unix.ENOTSUP) {
		return nil, nil
	}
	if err != nil || n == 0 {
		return nil, err
	}
	return strings.Split(strings.TrimSuffix(string(buf[:n]), "\x00"), "\x00"), nil
}

func copyAttribute(from string, to int, name string) error {
	buf := make([]byte, maxAttribute)
	n, err := unix.Lgetxattr(from, name, buf)
	if errors.Is(err, unix.ENODATA) {
		return nil // removed since it was listed
	}
	if err != nil {
		return err
	}
	return unix.Fsetxattr(to, name, buf[:n], 0)
}
