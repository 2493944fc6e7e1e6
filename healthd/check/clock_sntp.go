package check

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"

	"github.com/lbmedic/lbmedic/healthd"
)

// sntpSize is the size of a packet of NTP without extensions: RFC 5905, 7.3.
const sntpSize = 48

// askTime asks a time server once, and gives how far this host's clock is behind it; negative is ahead.
func askTime(ctx context.Context, server string) (time.Duration, error) {
	conn, err := dialUDP(ctx, server)
	if err != nil {
		return 0, err
	}
	defer func() { _ = conn.Close() }() // nothing is left to be sent
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()

	// Our transmit timestamp is a random number: it says nothing of this host, and who cannot see the request cannot forge an answer to it.
	var request [sntpSize]byte
	request[0] = 4<<3 | 3 // version 4, mode client
	nonce := rand.Text()
	copy(request[40:], nonce[:8])
	sent := time.Now()
	if _, err := conn.Write(request[:]); err != nil {
		return 0, err
	}
	var answer [1024]byte
	for {
		n, err := conn.Read(answer[:])
		if err != nil {
			return 0, err
		}
		took := time.Since(sent)
		reply, err := parseSNTP(answer[:n])
		if err == nil && reply.origin != binary.BigEndian.Uint64(request[40:]) {
			continue // it belongs to another question, or to nobody's
		}
		if err != nil {
			return 0, err
		}
		return reply.offset(sent, took), nil
	}
}

func dialUDP(ctx context.Context, address string) (net.Conn, error) {
	d := net.Dialer{Control: func(_, resolved string, _ syscall.RawConn) error {
		ap, err := netip.ParseAddrPort(resolved)
		if err == nil && Forbidden(ap.Addr()) {
			err = forbiddenError{ap.Addr()}
		}
		return err
	}}
	return d.DialContext(ctx, "udp", address)
}

// sntpReply is what matters of an answer. Times are in seconds since 1900, with 32 bits of fraction, and wrap in 2036.
type sntpReply struct {
	origin            uint64 // the request's transmit timestamp
	received, replied uint64 // by the server's clock
}

// parseSNTP reads an answer and refuses one that does not tell the time, by RFC 4330, 5.
func parseSNTP(raw []byte) (r sntpReply, err error) {
	if len(raw) < sntpSize {
		return r, fmt.Errorf("its answer has %d bytes, not %d", len(raw), sntpSize)
	}
	leap, version, mode, stratum := raw[0]>>6, raw[0]>>3&7, raw[0]&7, raw[1]
	switch {
	case mode != 4 || version < 3 || version > 4:
		return r, fmt.Errorf("its answer is of mode %d, version %d; no server's", mode, version)
	case stratum == 0: // a kiss of death, with a reason of four letters
		return r, fmt.Errorf("it will not tell: %s", healthd.Line(string(raw[12:16]), 20))
	case leap == 3 || stratum > 15:
		return r, errors.New("it does not know the time itself")
	}
	r = sntpReply{binary.BigEndian.Uint64(raw[24:]), binary.BigEndian.Uint64(raw[32:]), binary.BigEndian.Uint64(raw[40:])}
	if r.received == 0 || r.replied == 0 {
		return r, errors.New("its answer has no time")
	}
	return r, nil
}

// offset is ((T2 - T1) + (T3 - T4)) / 2 of RFC 5905, 8. How long the answer took is measured, so that a step meanwhile does not count.
func (r sntpReply) offset(sent time.Time, took time.Duration) time.Duration {
	t1 := ntpTime(sent)
	t4 := ntpTime(sent.Add(took))
	// Halved first, for both may be 68 years off, which is where the difference of such times wraps.
	return ntpDuration(int64(r.received-t1)/2 + int64(r.replied-t4)/2)
}

// ntpTime is t in seconds since 1900 with 32 bits of fraction.
func ntpTime(t time.Time) uint64 {
	const since1900 = 2208988800 // of 1970
	return uint64(t.Unix()+since1900)<<32 | uint64(t.Nanosecond())<<32/1e9
}

// ntpDuration is the reverse for a difference, which has 31 bits of seconds.
func ntpDuration(d int64) time.Duration {
	seconds, fraction := d>>32, d&(1<<32-1)
	return time.Duration(seconds)*time.Second + time.Duration(fraction*1e9>>32)
}
