package check

import (
	"context"
	"slices"
	"strings"

	"github.com/prometheus/procfs"
)

// socketOwner is a process that holds a socket.
type socketOwner struct {
	pid  int
	name string
}

// ownerBook remembers who holds some sockets: looking through the descriptors of every process takes long, and a socket's holder changes
// with the socket.
type ownerBook struct {
	inodes []uint64
	owners []socketOwner
}

// find gives who holds one of the sockets, the lowest number first: the master before its workers. Processes of other users cannot be looked
// into without root.
func (b *ownerBook) find(ctx context.Context, proc string, sockets []socket) ([]socketOwner, error) {
	var inodes []uint64
	for _, s := range sockets {
		inodes = append(inodes, s.inode)
	}
	slices.Sort(inodes)
	if slices.Equal(inodes, b.inodes) && len(b.owners) > 0 && b.alive(proc) {
		return b.owners, nil
	}
	host, err := procfs.NewFS(proc)
	if err != nil {
		return nil, err
	}
	all, err := host.AllProcs()
	if err != nil {
		return nil, err
	}
	var owners []socketOwner
	for _, p := range all {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		targets, err := p.FileDescriptorTargets()
		if err != nil || !slices.ContainsFunc(targets, func(t string) bool { return holds(t, inodes) }) {
			continue
		}
		if name, err := p.Comm(); err == nil {
			owners = append(owners, socketOwner{p.PID, name})
		}
	}
	slices.SortFunc(owners, func(a, b socketOwner) int { return a.pid - b.pid })
	b.inodes, b.owners = inodes, owners
	return owners, nil
}

// alive reports whether the first of them is still who it was.
func (b *ownerBook) alive(proc string) bool {
	host, err := procfs.NewFS(proc)
	if err != nil {
		return false
	}
	p, err := host.Proc(b.owners[0].pid)
	if err != nil {
		return false
	}
	name, err := p.Comm()
	return err == nil && name == b.owners[0].name
}

// holds reports whether what a descriptor points at, such as socket:[16104690], is one of the sockets.
func holds(target string, inodes []uint64) bool {
	text, ok := strings.CutPrefix(target, "socket:[")
	inode, isNumber := decimal(strings.TrimSuffix(text, "]"))
	_, found := slices.BinarySearch(inodes, inode)
	return ok && isNumber && found
}
