package exchange

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"grantcheck/suites/contract"
)

// head is the start of the contracts used here.
const head = `
contract: 1
name: acme
extends: base
client: {id: "${ID}", secret: "${SECRET}", auth: [post, basic], redirect_uri: "http://127.0.0.1:9999/cb"}
user: {name: "${USER_NAME}", password: "${PASSWORD}"}
`

var env = map[string]string{
	"ID": "my-client", "SECRET": "s3cr3t+/% ü&=", "USER_NAME": "alice", "PASSWORD": "wonder\"land'<&>\\", "BASE_URL": "http://127.0.0.1:1",
}

// ticking is a clock that tests hold.
type ticking struct{ at time.Time }

func (c *ticking) Now() time.Time { return c.at }

var epoch = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// counting gives the same "random" bytes in every test run.
type counting struct{ n byte }

func (c *counting) Read(p []byte) (int, error) {
	for i := range p {
		c.n += 7
		p[i] = c.n
	}
	return len(p), nil
}

func bind(t *testing.T, text string, opt Options) *Target {
	t.Helper()
	if !strings.Contains(text, "\nendpoint:") {
		text += "\nendpoint: {base_url: \"${BASE_URL}\", path: /token}\n"
	}
	c, err := contract.Parse("acme.yaml", []byte(text), "", contract.Options{LiteralSecrets: true})
	if err != nil {
		t.Fatal(err)
	}
	lookup := func(n string) (string, bool) { v, ok := env[n]; return v, ok }
	b, secrets, err := c.Bind(lookup, contract.BindOptions{URL: opt.URL})
	if err != nil {
		t.Fatal(err)
	}
	opt.Secrets = secrets
	if opt.Now == nil {
		opt.Now = (&ticking{epoch}).Now
	}
	if opt.Rand == nil {
		opt.Rand = &counting{}
	}
	if opt.Timeout == 0 {
		opt.Timeout = 3 * time.Second
	}
	target, err := NewTarget(b, opt)
	if err != nil {
		t.Fatal(err)
	}
	return target
}

func golden(t *testing.T, target *Target, key, auth string, in Inputs) Request {
	t.Helper()
	g, ok := target.Contract.Grant(key)
	if !ok {
		t.Fatalf("no grant %s", key)
	}
	r, err := target.Request(g, auth, in)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func client(t *testing.T, target *Target) *Client {
	t.Helper()
	c := NewClient(target, ClientOptions{})
	t.Cleanup(c.Close)
	return c
}

// serve runs a handler and returns a target whose token endpoint it is.
func serve(t *testing.T, h http.HandlerFunc) (*Target, *httptest.Server) {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return bind(t, head+"grants: {client_credentials: {}, refresh_token: {}, authorization_code: {code: \"${ID}\"}}\n", Options{URL: s.URL + "/token"}), s
}

// raw runs a server that reads one request per connection and answers with talk.
func raw(t *testing.T, talk func(c net.Conn, request string)) *Target {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_ = c.SetDeadline(time.Now().Add(20 * time.Second))
				talk(c, readRequest(c))
			}()
		}
	}()
	return bind(t, head+"grants: {client_credentials: {}}\n", Options{URL: "http://" + l.Addr().String() + "/token", Timeout: 700 * time.Millisecond})
}

// readRequest reads a request with a Content-Length.
func readRequest(c net.Conn) string {
	var b strings.Builder
	buf := make([]byte, 4096)
	for {
		n, err := c.Read(buf)
		b.Write(buf[:n])
		head, body, ok := strings.Cut(b.String(), "\r\n\r\n")
		if ok {
			length := 0
			for line := range strings.SplitSeq(head, "\r\n") {
				if v, ok := strings.CutPrefix(line, "Content-Length: "); ok {
					for _, d := range v {
						length = length*10 + int(d-'0')
					}
				}
			}
			if len(body) >= length {
				return b.String()
			}
		}
		if err != nil {
			return b.String()
		}
	}
}

func do(t *testing.T, target *Target, r Request) *Exchange {
	t.Helper()
	return client(t, target).Do(context.Background(), r)
}

func body(r *http.Request) string {
	b, _ := io.ReadAll(r.Body)
	return string(b)
}

const tokenAnswer = `{"access_token":"tok-1234567890","token_type":"Bearer","expires_in":3600}`
