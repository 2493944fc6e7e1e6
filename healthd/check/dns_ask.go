package check

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// dnsSize is how long an answer over UDP may be: what fits into one packet nearly everywhere (the DNS flag day of 2020).
const dnsSize = 1232

// ask asks over UDP, a second time when half of the time has passed without an answer, for packets get lost; and over TCP where the
// answer did not fit.
func (p *dnsProbe) ask(ctx context.Context, server string) (*dns.Msg, error) {
	query := new(dns.Msg)
	query.SetQuestion(p.question.Name, p.question.Qtype) // with a random id
	query.SetEdns0(dnsSize, false)
	d := dialer()
	conn, err := d.DialContext(ctx, "udp", server)
	if err != nil {
		return nil, err
	}
	reply, err := p.exchange(ctx, &dns.Conn{Conn: conn, UDPSize: dnsSize}, query)
	if err != nil || !reply.Truncated {
		return reply, err
	}
	tcp, err := dial(ctx, server)
	if err != nil {
		return nil, fmt.Errorf("again over tcp, for the answer was truncated: %w", err)
	}
	if reply, err = p.exchange(ctx, &dns.Conn{Conn: tcp}, query); err == nil && reply.Truncated {
		err = wrongAnswer("the answer is truncated over tcp too")
	}
	return reply, err
}

// exchange sends the query over c, which it closes, and waits for its reply.
func (p *dnsProbe) exchange(ctx context.Context, c *dns.Conn, query *dns.Msg) (*dns.Msg, error) {
	defer func() { _ = c.Close() }() // the answer is here, or will not be
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	deadline, bounded := ctx.Deadline()
	_, packets := c.Conn.(net.PacketConn)
	if bounded && packets {
		now := time.Now()
		if err := c.SetDeadline(now.Add(deadline.Sub(now) / 2)); err != nil {
			return nil, err
		}
	}
	if err := c.WriteMsg(query); err != nil {
		return nil, err
	}
	reply, err := p.await(c, query.Id)
	if bounded && packets && isTimeout(err) && ctx.Err() == nil {
		if err := c.SetDeadline(deadline); err != nil {
			return nil, err
		}
		if err := c.WriteMsg(query); err != nil {
			return nil, err
		}
		reply, err = p.await(c, query.Id)
	}
	return reply, err
}

// await reads until the reply to our question comes. Over UDP anybody may send anything: what has another id or another question is
// waited past, until the deadline.
func (p *dnsProbe) await(c *dns.Conn, id uint16) (*dns.Msg, error) {
	_, packets := c.Conn.(net.PacketConn)
	for {
		raw, err := c.ReadMsgHeader(nil)
		if errors.Is(err, dns.ErrShortRead) && packets {
			continue
		}
		if err != nil {
			return nil, err
		}
		reply, mine, err := p.read(raw, id)
		if mine || !packets && err != nil {
			return reply, err
		}
		if !packets {
			return nil, wrongAnswer("the answer is to another question")
		}
	}
}

// read reads one message, and reports whether it is the answer to our question.
func (p *dnsProbe) read(raw []byte, id uint16) (reply *dns.Msg, mine bool, err error) {
	reply = new(dns.Msg)
	err = reply.Unpack(raw)
	switch {
	case reply.Id != id || !reply.Response:
		return nil, false, wrongAnswer("the answer has another id")
	case err == nil && len(reply.Question) == 0 && reply.Rcode != dns.RcodeSuccess:
		return reply, true, nil // servers that understood nothing may leave the question out
	case err != nil && len(reply.Question) == 0:
		return nil, false, wrongAnswer("no dns answer: " + err.Error())
	case len(reply.Question) != 1 || !p.same(reply.Question[0]):
		return nil, false, wrongAnswer("the answer is to another question")
	case err != nil && !reply.Truncated:
		return nil, true, wrongAnswer("no dns answer: " + err.Error())
	}
	return reply, true, nil
}

func (p *dnsProbe) same(q dns.Question) bool {
	return strings.EqualFold(q.Name, p.question.Name) && q.Qtype == p.question.Qtype && q.Qclass == p.question.Qclass
}
