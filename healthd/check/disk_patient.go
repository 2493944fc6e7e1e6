package check

import "context"

// patient makes calls into the kernel that may never return, such as one about a network file system whose server is gone. Such a call
// cannot be cancelled, only left behind; as long as one hangs no other is begun, so that they never pile up. It is not for use by several
// goroutines at once.
type patient[T any] struct{ pending chan T }

// call gives what f returns, or the error of ctx where it ends before.
func (p *patient[T]) call(ctx context.Context, f func() T) (T, error) {
	var none T
	if p.pending != nil { // what it says is as old as the probe that asked
		select {
		case <-p.pending:
			p.pending = nil
		case <-ctx.Done():
			return none, ctx.Err()
		}
	}
	done := make(chan T, 1)
	go func() { done <- f() }()
	select {
	case result := <-done:
		return result, nil
	case <-ctx.Done():
		p.pending = done
		return none, ctx.Err()
	}
}
