package demo

import (
	"fmt"
	"net"
	"sync"
)

// dependencyWord is what a dependency answers.
const dependencyWord = "ok\n"

// dependency is what one app needs, such as its database. It can fail and heal.
type dependency struct {
	address string

	mu       sync.Mutex
	listener net.Listener // nil while it has failed
	serving  sync.WaitGroup
}

// heal starts it; twice is once.
func (d *dependency) heal() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.listener != nil {
		return nil
	}
	l, err := net.Listen("tcp", d.address)
	if err != nil {
		return fmt.Errorf("start the dependency: %w", err)
	}
	d.listener = l
	d.serving.Go(func() { serveWord(l) })
	return nil
}

// fail stops it; who connects is refused. Twice is once.
func (d *dependency) fail() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.listener == nil {
		return
	}
	d.listener.Close() // of a listener that is ours alone: nothing can be done about an error
	d.listener = nil
	d.serving.Wait()
}

func serveWord(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		// A few bytes into an empty socket buffer do not block.
		conn.Write([]byte(dependencyWord))
		conn.Close()
	}
}
