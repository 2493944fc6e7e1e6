package check

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"
)

// alerts are what servers say by a TLS alert where the reason is of more use than the alert's name. With TLS 1.3 those about our
// certificate arrive after the handshake, in place of the first answer.
var alerts = map[string]string{
	"tls: certificate required":           "the server wants a client certificate; name one with cert and key",
	"tls: bad certificate":                "the server refused the client certificate",
	"tls: unknown certificate":            "the server refused the client certificate",
	"tls: expired certificate":            "the server refused the client certificate as expired",
	"tls: revoked certificate":            "the server refused the client certificate as revoked",
	"tls: unknown certificate authority":  "the server does not know the authority of the client certificate",
	"tls: protocol version not supported": "the server speaks no version of tls from tls_min up",
	"tls: unrecognized name":              "the server knows no site of that tls name",
	"tls: no application protocol":        "the server speaks none of the protocols offered by alpn",
	"tls: handshake failure":              "the server refused the handshake: no common cipher, or it wants a client certificate",
	"tls: access denied":                  "the server refused the client certificate",
	"tls: unsupported certificate":        "the server refused the client certificate as of no use to it",
}

// tlsTrouble says plainly what is wrong with a certificate or a handshake: expired on what day, for which names, signed by whom. It
// reports false for errors that are not of TLS.
func tlsTrouble(err error) (string, bool) {
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok {
		return invalidCertificate(invalid), true
	}
	if wrong, ok := errors.AsType[x509.HostnameError](err); ok {
		return fmt.Sprintf("the certificate is for %s, not for %s", namesOf(wrong.Certificate), wrong.Host), true
	}
	if unknown, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return unknownAuthority(unknown), true
	}
	if unverified, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return "the certificate cannot be verified: " + unverified.Err.Error(), true
	}
	if other, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return notTLS(other), true
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "remote error" && op.Err != nil {
		if text, known := alerts[op.Err.Error()]; known {
			return text, true
		}
		return "the server ended the handshake: " + op.Err.Error(), true
	}
	return "", false
}

func invalidCertificate(e x509.CertificateInvalidError) string {
	const day = "2006-01-02 15:04 UTC"
	switch {
	case e.Reason != x509.Expired || e.Cert == nil:
		return "the certificate is invalid: " + e.Error()
	case time.Now().Before(e.Cert.NotBefore):
		return fmt.Sprintf("the certificate of %s is not valid before %s", ownerOf(e.Cert), e.Cert.NotBefore.UTC().Format(day))
	}
	return fmt.Sprintf("the certificate of %s expired on %s", ownerOf(e.Cert), e.Cert.NotAfter.UTC().Format(day))
}

func unknownAuthority(e x509.UnknownAuthorityError) string {
	if e.Cert == nil {
		return "the certificate is signed by an unknown authority; name it with ca"
	}
	if slices.Equal(e.Cert.RawIssuer, e.Cert.RawSubject) {
		return fmt.Sprintf("the certificate of %s is self-signed; name it with ca to trust it", ownerOf(e.Cert))
	}
	return fmt.Sprintf("the certificate of %s is signed by %q, an unknown authority; name it with ca", ownerOf(e.Cert), e.Cert.Issuer.CommonName)
}

// ownerOf is one word for whose certificate it is.
func ownerOf(c *x509.Certificate) string {
	switch {
	case len(c.DNSNames) > 0:
		return c.DNSNames[0]
	case len(c.IPAddresses) > 0:
		return c.IPAddresses[0].String()
	case c.Subject.CommonName != "":
		return fmt.Sprintf("%q", c.Subject.CommonName)
	}
	return "nobody"
}

// namesOf are the first names that a certificate is good for.
func namesOf(c *x509.Certificate) string {
	names := slices.Clone(c.DNSNames)
	for _, ip := range c.IPAddresses {
		names = append(names, ip.String())
	}
	const shown = 3
	switch {
	case len(names) == 0:
		return "no name at all"
	case len(names) > shown:
		return fmt.Sprintf("%s and %d more", strings.Join(names[:shown], ", "), len(names)-shown)
	}
	return strings.Join(names, ", ")
}

// notTLS says what answered in place of TLS, by its first bytes.
func notTLS(e tls.RecordHeaderError) string {
	first := string(e.RecordHeader[:])
	for prefix, what := range map[string]string{"HTTP/": "plain http", "SSH-2": "ssh", "220 ": "plain smtp or ftp", "+OK": "plain pop3", "* OK": "plain imap", "-ERR": "plain redis or pop3"} {
		if strings.HasPrefix(first, prefix) {
			return "the server speaks " + what + ", not tls"
		}
	}
	return fmt.Sprintf("the server does not speak tls: its answer begins with %q", first)
}
