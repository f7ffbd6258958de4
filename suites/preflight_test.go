package suites_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"grantcheck/report"
	"grantcheck/suites"
)

// always answers every request alike.
func always(status int, mediaType, body string, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", mediaType)
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}
}

// TestOneCauseIsOneFinding holds that a server on which nothing can be asked is told once, by the
// rule that it breaks, and that everything else is blocked by it.
func TestOneCauseIsOneFinding(t *testing.T) {
	json := "application/json"
	for name, c := range map[string]struct {
		server http.Handler
		want   []string
	}{
		"wrong path":                      {http.NotFoundHandler(), []string{"doc.endpoint-path"}},
		"wrong path, JSON of a framework": {always(404, json, `{"status":404,"error":"Not Found","path":"/token"}`), []string{"doc.endpoint-path"}},
		"gone":                            {always(410, "text/html", "<h1>Gone</h1>"), []string{"doc.endpoint-path"}},
		"redirect to another host":        {always(307, json, "", "Location", "https://elsewhere.example/token?a=b"), []string{"transport.no-redirect"}},
		"redirect to a login page":        {always(302, "text/html", "", "Location", "/login"), []string{"transport.no-redirect"}},
		"JSON only, 415":                  {always(415, json, `{"error":"invalid_request"}`), []string{"doc.request-content-type", "request.form-accepted"}},
		"JSON only, 400":                  {always(400, json, `{"error":"invalid_request","error_description":"grant_type is missing"}`), []string{"request.form-accepted"}},
		"405":                             {always(405, json, `{"error":"invalid_request"}`, "Allow", "POST"), []string{"doc.method", "request.form-accepted"}},
		"fault":                           {always(500, "text/plain", "oops"), []string{"request.form-accepted"}},
		"200 without a token":             {always(200, json, `{"ok":true}`), []string{"request.form-accepted"}},
		"200 with a page":                 {always(200, "text/html", "<html></html>"), []string{"request.form-accepted"}},
		"unknown grant":                   {always(400, json, `{"error":"unsupported_grant_type"}`), []string{"request.form-accepted"}},
	} {
		t.Run(name, func(t *testing.T) {
			groups := []string{"transport", "request", "client-auth", "client-credentials", "robustness", "documented", "response"}
			if strings.Contains(name, "404") {
				groups = nil
			}
			run := judgeOdd(t, serveOdd(t, c.server), plainContract, nil, groups...)
			expectFindings(t, run, c.want...)
			if run.ExitCode != report.ExitFail {
				t.Errorf("exit %d, %s", run.ExitCode, run.ExitReason)
			}
			if len(run.Preflight) > 0 {
				t.Errorf("preflight ends with %q", run.Preflight[0].Message)
			}
		})
	}
}

// selfMade is a CA file and a server certificate of that CA for these names.
func selfMade(t *testing.T, names ...string) (caFile string, cert tls.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	ca := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test CA"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "test"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	for _, n := range names {
		if ip := net.ParseIP(n); ip != nil {
			leaf.IPAddresses = append(leaf.IPAddresses, ip)
		} else {
			leaf.DNSNames = append(leaf.DNSNames, n)
		}
	}
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, ca, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	caFile = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(caFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: caDER}), 0o600); err != nil {
		t.Fatal(err)
	}
	return caFile, tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// overTLS starts a token endpoint with TLS.
func overTLS(t *testing.T, cfg *tls.Config) string {
	t.Helper()
	s := httptest.NewUnstartedServer(&odd{})
	s.TLS = cfg
	s.Config.ErrorLog = quiet
	s.StartTLS()
	t.Cleanup(s.Close)
	return s.URL + "/token"
}

func TestTLSFindings(t *testing.T) {
	right, rightCert := selfMade(t, "127.0.0.1")
	other, otherCert := selfMade(t, "elsewhere.example")
	gcm := []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}
	all := append([]uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, tls.TLS_ECDHE_ECDSA_WITH_RC4_128_SHA}, gcm...)
	for name, c := range map[string]struct {
		cfg    *tls.Config
		ca     string
		strict bool
		want   []string
		exit   int
	}{
		"sound":                  {&tls.Config{Certificates: []tls.Certificate{rightCert}, CipherSuites: gcm}, right, false, nil, 0},
		"TLS 1.3 only":           {&tls.Config{Certificates: []tls.Certificate{rightCert}, MinVersion: tls.VersionTLS13}, right, false, nil, 0},
		"certificate of another": {&tls.Config{Certificates: []tls.Certificate{otherCert}}, other, false, []string{"transport.certificate-valid"}, 1},
		"TLS 1.1 only":           {&tls.Config{Certificates: []tls.Certificate{rightCert}, MinVersion: tls.VersionTLS11, MaxVersion: tls.VersionTLS11, CipherSuites: all}, right, false, []string{"transport.tls12-supported"}, 4},
		"TLS 1.1 only, strictly": {&tls.Config{Certificates: []tls.Certificate{rightCert}, MinVersion: tls.VersionTLS11, MaxVersion: tls.VersionTLS11, CipherSuites: all}, right, true, []string{"transport.tls12-supported"}, 1},
		"TLS 1.0 too":            {&tls.Config{Certificates: []tls.Certificate{rightCert}, MinVersion: tls.VersionTLS10, CipherSuites: all[:1]}, right, false, []string{"transport.tls-versions"}, 1},
		"RC4":                    {&tls.Config{Certificates: []tls.Certificate{rightCert}, CipherSuites: all[1:]}, right, false, []string{"transport.weak-ciphers"}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			run := judgeOdd(t, overTLS(t, c.cfg), plainContract, func(cfg *suites.Config) {
				cfg.Exchange.CAFile, cfg.Strict = c.ca, c.strict
			}, "transport", "request")
			expectFindings(t, run, c.want...)
			if run.ExitCode != c.exit {
				t.Errorf("exit %d (%s), want %d", run.ExitCode, run.ExitReason, c.exit)
			}
			if got := verdictOf(run, "transport.https-required"); got.Verdict != report.Skip {
				t.Errorf("transport.https-required on this machine: %s", got.Verdict)
			}
		})
	}
}

// TestOperatorsMistakeIsNoFinding holds that what the operator has to put right is told before any
// verdict, and is nobody's failure.
func TestOperatorsMistakeIsNoFinding(t *testing.T) {
	_, cert := selfMade(t, "127.0.0.1")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := "http://" + l.Addr().String() + "/token"
	l.Close()
	json := "application/json"
	withUser := strings.Replace(plainContract, "client_credentials: {}", "password: {}\nuser: {name: alice, password: \"${OTHER_PASSWORD}\"}", 1)
	for name, c := range map[string]struct {
		address string
		yaml    string
		kind    report.ReasonKind
	}{
		"unreachable":         {closed, plainContract, report.Unreachable},
		"credentials refused": {serveOdd(t, &odd{}), strings.Replace(plainContract, "SECRET", "OTHER_SECRET", 1), report.Credentials},
		"401 without a body":  {serveOdd(t, always(401, "text/plain", "")), plainContract, report.Credentials},
		"unknown authority":   {overTLS(t, &tls.Config{Certificates: []tls.Certificate{cert}}), plainContract, report.Configuration},
		"missing scope":       {serveOdd(t, always(400, json, `{"error":"invalid_scope"}`)), plainContract, report.Configuration},
		"client not allowed":  {serveOdd(t, always(400, json, `{"error":"unauthorized_client"}`)), plainContract, report.Configuration},
		"wrong password":      {serveOdd(t, &odd{users: map[string]string{"alice": "right"}}), withUser, report.Credentials},
		"throttled":           {serveOdd(t, always(429, json, `{"error":"slow_down"}`)), plainContract, report.Throttled},
		"unavailable":         {serveOdd(t, always(503, "text/html", "down")), plainContract, report.Unreachable},
	} {
		t.Run(name, func(t *testing.T) {
			run := judgeOdd(t, c.address, c.yaml, nil, "transport", "request", "client-auth", "documented")
			expectFindings(t, run)
			if run.ExitCode != report.ExitUnjudged {
				t.Errorf("exit %d, want %d", run.ExitCode, report.ExitUnjudged)
			}
			if len(run.Preflight) != 1 || run.Preflight[0].Kind != c.kind || run.Preflight[0].Remedy == "" {
				t.Errorf("preflight says %+v, want %s and a remedy", run.Preflight, c.kind)
			}
		})
	}
}

// TestPlainHTTPBesideTLS holds that credentials of worth never travel to port 80, and that a token
// endpoint there is found.
func TestPlainHTTPBesideTLS(t *testing.T) {
	caFile, cert := selfMade(t, "token.example")
	tlsAddress := overTLS(t, &tls.Config{Certificates: []tls.Certificate{cert}})
	u, err := url.Parse(tlsAddress)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		port80 http.Handler
		want   []string
		note   bool
	}{
		"nothing there":            {nil, nil, false},
		"the same endpoint":        {&odd{}, []string{"transport.https-required"}, false},
		"a redirect":               {always(301, "text/html", "", "Location", "https://token.example/token"), nil, true},
		"a refusal of plain HTTP":  {always(403, "application/json", `{"error":"invalid_request","error_description":"HTTPS required"}`), nil, false},
		"a page that knows no API": {always(404, "text/html", "nothing"), nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			var seen []string
			proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodConnect {
					tunnel(w, u.Host)
					return
				}
				if r.URL.Port() != "" && r.URL.Port() != "80" || r.URL.Hostname() != "token.example" {
					t.Errorf("a request in the clear to %s", r.URL.Host)
				}
				if c.port80 == nil {
					http.Error(w, "refused", http.StatusBadGateway)
					return
				}
				body := new(strings.Builder)
				_ = r.Header.Write(body)
				_ = r.ParseForm()
				seen = append(seen, body.String()+r.Form.Encode())
				c.port80.ServeHTTP(w, r)
			}))
			defer proxy.Close()
			run := judgeOdd(t, "https://token.example:"+u.Port()+"/token", strings.Replace(plainContract, "[basic, post]", "[post]", 1), func(cfg *suites.Config) {
				cfg.Exchange.CAFile, cfg.Exchange.Proxy = caFile, proxy.URL
				cfg.Selection = suites.Selection{Rules: []string{"transport.https-required"}}
			})
			expectFindings(t, run, c.want...)
			if got := verdictOf(run, "transport.https-required"); c.note != (got.Verdict == report.Note) {
				t.Errorf("verdict %s: %s", got.Verdict, got.Message)
			}
			for _, s := range seen {
				if strings.Contains(s, "the-secret-0123456789") {
					t.Error("the real secret travelled in the clear")
				}
			}
		})
	}
}
