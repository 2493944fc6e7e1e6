package check

import (
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/go-ldap/ldap/v3"
)

// ldapError turns an error of the client into one of the network, or into what the directory said. The text that a directory adds is not
// repeated, for it may quote what it was told.
func ldapError(c *watchedConn, what string, err error) error {
	if err == nil {
		return nil
	}
	said, ok := errors.AsType[*ldap.Error](err)
	if ok && said.ResultCode < ldap.ErrorNetwork {
		return wrongAnswer(fmt.Sprintf("%s refused: %s (%d)", what, ldap.LDAPResultCodeMap[said.ResultCode], said.ResultCode))
	}
	if fault := c.failure("no ldap answer"); fault != nil {
		return fault
	}
	return fmt.Errorf("%s: %w", what, err)
}

// ldapStartTLS asks for TLS (RFC 4511, section 4.14) before the client takes over, which has no plain words for what goes wrong in it.
func ldapStartTLS(conn net.Conn) error {
	const oid = "1.3.6.1.4.1.1466.20037"
	ask := append([]byte{0x30, byte(7 + len(oid)), 0x02, 0x01, 0x01, 0x77, byte(2 + len(oid)), 0x80, byte(len(oid))}, oid...)
	if _, err := conn.Write(ask); err != nil {
		return err
	}
	head := make([]byte, 2)
	if _, err := io.ReadFull(conn, head); err != nil {
		return err
	}
	length := int(head[1])
	if head[0] == 0x30 && length > 0x80 && length <= 0x84 { // long form, as some write even what is short
		size := make([]byte, length-0x80)
		if _, err := io.ReadFull(conn, size); err != nil {
			return err
		}
		length = 0
		for _, b := range size {
			length = min(length<<8|int(b), maxWatched)
		}
	}
	if head[0] != 0x30 || length > 4096 {
		return wrongAnswer(fmt.Sprintf("no ldap answer: it begins with %q", head))
	}
	answer := make([]byte, length)
	if _, err := io.ReadFull(conn, answer); err != nil {
		return err
	}
	code, ok := extendedResult(answer)
	switch {
	case !ok:
		return wrongAnswer("no ldap answer to the request for tls")
	case code != 0:
		return wrongAnswer(fmt.Sprintf("the server refused to change to tls: %s (%d)", ldap.LDAPResultCodeMap[uint16(code)], code))
	}
	return nil
}

// extendedResult reads the result code of an ExtendedResponse to message 1.
func extendedResult(message []byte) (code byte, ok bool) {
	const id = "\x02\x01\x01\x78"
	if len(message) < len(id)+1 || string(message[:len(id)]) != id {
		return 0, false
	}
	rest := message[len(id):]
	skip := 1
	if rest[0] > 0x80 && rest[0] <= 0x84 {
		skip += int(rest[0] - 0x80)
	}
	if len(rest) < skip+3 || rest[skip] != 0x0a || rest[skip+1] != 1 {
		return 0, false
	}
	return rest[skip+2], true
}
