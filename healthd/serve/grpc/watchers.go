package grpc

import (
	"net/netip"
	"slices"
	"sync"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

var tooMany = status.Error(codes.ResourceExhausted, "too many watch already; ask by Check")

// watchers are the streams of Watch. One address has a quarter of the places at most, loopback excepted; and where all are taken, the oldest of the
// address that has most makes room, unless that has no more than the newcomer's would: so one caller keeps nobody out, and many do not end each other.
// Safe for concurrent use.
type watchers struct {
	most int

	mu  sync.Mutex
	all int
	of  map[netip.Prefix][]*watcher // oldest first
}

// watcher is one stream.
type watcher struct {
	group netip.Prefix
	local bool
	end   func(cause error)
}

// add reports whether there is a place for one more.
func (w *watchers) add(one *watcher) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !one.local && len(w.of[one.group]) >= max(1, w.most/4) {
		return false
	}
	if w.all >= w.most {
		oldest := w.greediest(one.group)
		if oldest == nil {
			return false
		}
		w.drop(oldest)
		oldest.end(tooMany)
	}
	w.all++
	w.of[one.group] = append(w.of[one.group], one)
	return true
}

// greediest gives the oldest of the address that has most, nil where that has no more than the newcomer's would have. An address that has most of all
// itself makes room for its own.
func (w *watchers) greediest(newcomer netip.Prefix) *watcher {
	most := newcomer
	for group, its := range w.of {
		if len(its) > len(w.of[most]) {
			most = group
		}
	}
	its := w.of[most]
	if len(its) < 2 || most != newcomer && len(its) <= len(w.of[newcomer])+1 {
		return nil
	}
	return its[0]
}

// remove takes one out that has ended; it may be out already.
func (w *watchers) remove(one *watcher) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.drop(one)
}

func (w *watchers) drop(one *watcher) {
	its := w.of[one.group]
	i := slices.Index(its, one)
	if i < 0 {
		return
	}
	w.all--
	if its = slices.Delete(its, i, i+1); len(its) == 0 {
		delete(w.of, one.group)
		return
	}
	w.of[one.group] = its
}
