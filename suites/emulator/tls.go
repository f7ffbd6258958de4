package emulator

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"time"
)

// TLS says how the emulator speaks TLS. Its certificate is made on the spot, by a CA made
// on the spot; CAPEM is what a client has to trust.
type TLS struct {
	// Host is the name in the URL, if not the address listened on; it leads here through ProxyURL.
	Host string
	// WrongHost puts another name into the certificate; Expired and SelfSigned say themselves.
	WrongHost, Expired, SelfSigned bool
	MinVersion, MaxVersion         uint16   // 0: TLS 1.2 and 1.3
	CipherSuites                   []uint16 // of TLS 1.2 and older; nil: Go's own choice
	HTTP2                          bool
	// Plain serves the same endpoints without TLS at a further port, see PlainURL.
	Plain bool
}

type certificate struct {
	pair tls.Certificate
	ca   []byte // PEM
}

// newCertificate makes a CA and a certificate of it for the loopback addresses and Host.
func newCertificate(o *TLS, now time.Time) (*certificate, error) {
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "grantcheck emulator CA"}, NotBefore: now.Add(-48 * time.Hour), NotAfter: now.Add(365 * 24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "grantcheck emulator"}, NotBefore: now.Add(-48 * time.Hour), NotAfter: now.Add(30 * 24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if o.WrongHost {
		leaf.DNSNames = []string{"elsewhere.example"}
	} else {
		leaf.DNSNames = []string{"localhost"}
		leaf.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}
		if o.Host != "" {
			leaf.DNSNames = append(leaf.DNSNames, o.Host)
		}
	}
	if o.Expired {
		leaf.NotAfter = now.Add(-24 * time.Hour)
	}
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, &caKey.PublicKey, caKey)
	if err != nil {
		return nil, err
	}
	parent, signer := ca, caKey
	if o.SelfSigned {
		parent, signer = leaf, key
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, parent, &key.PublicKey, signer)
	if err != nil {
		return nil, fmt.Errorf("emulator: certificate: %w", err)
	}
	return &certificate{
		pair: tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key},
		ca:   pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: caDER}),
	}, nil
}

func (o *TLS) listener(l net.Listener, c *certificate) net.Listener {
	cfg := &tls.Config{Certificates: []tls.Certificate{c.pair}, MinVersion: o.MinVersion, MaxVersion: o.MaxVersion, CipherSuites: o.CipherSuites}
	if cfg.MinVersion == 0 {
		cfg.MinVersion = tls.VersionTLS12
	}
	cfg.NextProtos = []string{"http/1.1"}
	if o.HTTP2 {
		cfg.NextProtos = []string{"h2", "http/1.1"}
	}
	return tls.NewListener(l, cfg)
}

// CAPEM is the CA certificate to trust; nil without TLS.
func (e *Emulator) CAPEM() []byte {
	if e.certificate == nil {
		return nil
	}
	return e.certificate.ca
}

var (
	quiet   = log.New(io.Discard, "", 0)
	noHTTP2 = map[string]func(*http.Server, *tls.Conn, http.Handler){}
)
