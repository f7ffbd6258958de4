package emulator

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"grantcheck/suites/contract"
)

// start runs an emulator of a shipped contract until the test ends.
func start(t *testing.T, name string, opt Options) *Emulator {
	t.Helper()
	if opt.Contract == nil {
		c, err := contract.Shipped(name)
		if err != nil {
			t.Fatal(err)
		}
		opt.Contract = c
	}
	e, err := New(opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	if err := e.Start(); err != nil {
		t.Fatal(err)
	}
	return e
}

// reply is an answer as a test looks at it.
type reply struct {
	status int
	header http.Header
	body   string
	json   map[string]any
}

func (r reply) code() string { s, _ := r.json["error"].(string); return s }

func (r reply) text(name string) string { s, _ := r.json[name].(string); return s }

// request is a token request of a test: a form, and what is around it.
type request struct {
	form        url.Values
	raw         string // in place of form
	basic       [2]string
	header      map[string]string
	method, url string
}

var noRedirects = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}

// caller is an HTTP client that reaches e: with its certificate authority, through its proxy, and
// without following redirects.
func (e *Emulator) caller() *http.Client {
	transport := http.DefaultTransport
	if e.opt.TLS != nil {
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(e.CAPEM())
		secure := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true, DisableKeepAlives: true}
		if proxy, err := url.Parse(e.ProxyURL()); err == nil && proxy.Host != "" {
			secure.Proxy = http.ProxyURL(proxy)
		}
		transport = secure
	}
	return &http.Client{Transport: transport, CheckRedirect: noRedirects.CheckRedirect}
}

func (e *Emulator) ask(t *testing.T, q request) reply {
	t.Helper()
	body := q.raw
	if body == "" {
		body = q.form.Encode()
	}
	method, address := "POST", e.URL()
	if q.method != "" {
		method = q.method
	}
	if q.url != "" {
		address = q.url
	}
	req, err := http.NewRequest(method, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if q.basic[0] != "" {
		req.SetBasicAuth(url.QueryEscape(q.basic[0]), url.QueryEscape(q.basic[1]))
	}
	for name, v := range q.header {
		req.Header.Set(name, v)
	}
	resp, err := e.caller().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	r := reply{status: resp.StatusCode, header: resp.Header, body: string(data)}
	json.Unmarshal(data, &r.json)
	return r
}

func form(pairs ...string) url.Values {
	v := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		v.Add(pairs[i], pairs[i+1])
	}
	return v
}

// primary are the credentials of the primary client.
func (e *Emulator) primary() [2]string {
	c := e.Contract().Client
	return [2]string{c.ID, c.Secret}
}

func TestTokenForEveryShippedContract(t *testing.T) {
	for _, name := range contract.ShippedNames() {
		c, err := contract.Shipped(name)
		if err != nil {
			t.Fatal(err)
		}
		if c.Abstract {
			continue
		}
		t.Run(name, func(t *testing.T) {
			e := start(t, name, Options{})
			for _, g := range e.Contract().Grants {
				v := form("grant_type", g.Type)
				switch g.Type {
				case passwordGrant:
					v.Set("username", e.Contract().User.UserName)
					v.Set("password", e.Contract().User.Password)
				case clientCredentials:
				default:
					continue
				}
				v.Set("client_id", e.primary()[0])
				v.Set("client_secret", e.primary()[1])
				got := e.ask(t, request{form: v})
				if got.status != 200 || got.text("access_token") == "" {
					t.Errorf("%s: %d %s", g.Type, got.status, got.body)
				}
				if got.header.Get("Cache-Control") != "no-store" || got.header.Get("Pragma") != "no-cache" {
					t.Errorf("%s: cacheable: %v", g.Type, got.header)
				}
				v.Set("client_secret", "wrong")
				if got = e.ask(t, request{form: v}); got.status != 401 || got.code() != "invalid_client" || got.header.Get("WWW-Authenticate") == "" {
					t.Errorf("%s, wrong secret: %d %s %v", g.Type, got.status, got.body, got.header)
				}
			}
		})
	}
}
