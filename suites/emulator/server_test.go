package emulator

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"

	"grantcheck/suites/contract"
)

// What is malformed is refused, never answered with 5xx, and the connection lives on.
func TestMalformedRequests(t *testing.T) {
	e := start(t, "standard", Options{})
	big := strings.Repeat("a", 256<<10)
	many := "grant_type=client_credentials" + strings.Repeat("&a=b", 5000)
	for what, one := range map[string]struct {
		q    request
		want string
	}{
		"empty body":              {request{raw: "&"}, "401 invalid_client"},
		"bad percent encoding":    {request{raw: "grant_type=%ZZ", basic: e.primary()}, "400 invalid_request"},
		"percent at the end":      {request{raw: "grant_type=client_credentials&grantcheck=%", basic: e.primary()}, "400 invalid_request"},
		"not UTF-8":               {request{raw: "grant_type=client_credentials&client_id=%FF%FE%FD"}, "400 invalid_request"},
		"NUL in the secret":       {request{raw: fill(e, "grant_type=client_credentials&client_id=ID&client_secret=SECRET%00x")}, "401 invalid_client"},
		"array parameter":         {request{raw: "grant_type[]=client_credentials", basic: e.primary()}, "400 invalid_request"},
		"many parameters":         {request{raw: many, basic: e.primary()}, "200"},
		"large unknown value":     {request{raw: "grant_type=client_credentials&x=" + big, basic: e.primary()}, "200"},
		"large secret":            {request{raw: fill(e, "grant_type=client_credentials&client_id=ID&client_secret=") + big}, "401 invalid_client"},
		"large header":            {request{raw: "grant_type=client_credentials", header: map[string]string{"Authorization": "Basic " + big[:64<<10]}}, "401 invalid_client"},
		"body of 2 MiB":           {request{raw: strings.Repeat(big, 8), basic: e.primary()}, "413 invalid_request"},
		"JSON":                    {request{raw: `{"grant_type":"client_credentials"}`, basic: e.primary(), header: map[string]string{"Content-Type": "application/json"}}, "415 invalid_request"},
		"text":                    {request{raw: "grant_type=client_credentials", basic: e.primary(), header: map[string]string{"Content-Type": "text/plain"}}, "415 invalid_request"},
		"markup as grant type":    {request{raw: "grant_type=%22%5C%0D%0A%3Cscript%3E", basic: e.primary()}, "400 unsupported_grant_type"},
		"line break as client":    {request{raw: "grant_type=client_credentials&client_id=x%0d%0aX-Grantcheck:%20y&client_secret=z"}, "401 invalid_client"},
		"GET":                     {request{method: "GET"}, "405 invalid_request"},
		"PUT":                     {request{method: "PUT", raw: "grant_type=client_credentials", basic: e.primary()}, "405 invalid_request"},
		"junk after Basic":        {request{raw: "grant_type=client_credentials", header: map[string]string{"Authorization": basicOf(e) + " junk"}}, "401 invalid_client"},
		"Basic without colon":     {request{raw: "grant_type=client_credentials", header: map[string]string{"Authorization": "Basic YWJj"}}, "401 invalid_client"},
		"Basic alone":             {request{raw: "grant_type=client_credentials", header: map[string]string{"Authorization": "Basic"}}, "401 invalid_client"},
		"unpadded Basic":          {request{raw: "grant_type=client_credentials", header: map[string]string{"Authorization": "Basic YTpi="}}, "401 invalid_client"},
		"the raw secret in Basic": {request{raw: "grant_type=client_credentials", header: map[string]string{"Authorization": rawBasic(named(t, e, "special_secret"))}}, "200"},
	} {
		got := e.ask(t, one.q)
		if got.short() != one.want {
			t.Errorf("%s: %s, want %s", what, got.short(), one.want)
		}
		if got.status == 405 && got.header.Get("Allow") != "POST" || got.status == 401 && got.header.Get("WWW-Authenticate") == "" || got.header.Get("X-Grantcheck") != "" {
			t.Errorf("%s: %v", what, got.header)
		}
	}
}

func basicOf(e *Emulator) string {
	r, _ := http.NewRequest("GET", "/", nil)
	r.SetBasicAuth(e.primary()[0], e.primary()[1])
	return r.Header.Get("Authorization")
}

func rawBasic(c *contract.Client) string {
	r, _ := http.NewRequest("GET", "/", nil)
	r.SetBasicAuth(c.ID, c.Secret)
	return r.Header.Get("Authorization")
}

// One connection: a refused request, Expect: 100-continue, a chunked body.
func TestOneConnection(t *testing.T) {
	e := start(t, "standard", Options{})
	conn, err := net.Dial("tcp", strings.TrimPrefix(e.base, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	in := bufio.NewReader(conn)
	head := "POST /oauth/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nAuthorization: " + basicOf(e) + "\r\n"
	read := func() *http.Response {
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		return resp
	}
	fmt.Fprintf(conn, "%sContent-Length: 12\r\n\r\ngrant_type=x", head)
	if r := read(); r.StatusCode != 400 || r.Close {
		t.Errorf("refused: %s close %v", r.Status, r.Close)
	}
	fmt.Fprintf(conn, "%sContent-Length: 29\r\nExpect: 100-continue\r\n\r\n", head)
	if line, _ := in.ReadString('\n'); !strings.HasPrefix(line, "HTTP/1.1 100") {
		t.Fatalf("interim answer %q", line)
	}
	in.ReadString('\n')
	fmt.Fprint(conn, "grant_type=client_credentials")
	if r := read(); r.StatusCode != 200 {
		t.Errorf("after 100: %s", r.Status)
	}
	fmt.Fprintf(conn, "%sTransfer-Encoding: chunked\r\n\r\n1d\r\ngrant_type=client_credentials\r\n0\r\n\r\n", head)
	if r := read(); r.StatusCode != 200 {
		t.Errorf("chunked: %s", r.Status)
	}
	fmt.Fprintf(conn, "%sAuthorization: Basic bm86bm8=\r\nContent-Length: 29\r\n\r\ngrant_type=client_credentials", head)
	if r := read(); r.StatusCode != 400 {
		t.Errorf("two Authorization fields: %s", r.Status)
	}
}

func TestTLS(t *testing.T) {
	shake := func(e *Emulator, cfg *tls.Config) error {
		cfg.RootCAs = x509.NewCertPool()
		cfg.RootCAs.AppendCertsFromPEM(e.CAPEM())
		conn, err := tls.Dial("tcp", strings.TrimPrefix(e.base, "https://"), cfg)
		if err == nil {
			conn.Close()
		}
		return err
	}
	good := start(t, "standard", Options{TLS: &TLS{Plain: true}})
	if err := shake(good, &tls.Config{}); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(good.Contract().Transport.CAFile); err != nil || !strings.HasPrefix(good.PlainURL(), "http://") {
		t.Error(err, good.PlainURL())
	}
	rc4 := []uint16{tls.TLS_ECDHE_ECDSA_WITH_RC4_128_SHA, tls.TLS_RSA_WITH_RC4_128_SHA}
	for what, cfg := range map[string]*tls.Config{
		"TLS 1.0": {MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS10},
		"TLS 1.1": {MinVersion: tls.VersionTLS11, MaxVersion: tls.VersionTLS11}, "RC4": {MaxVersion: tls.VersionTLS12, CipherSuites: rc4},
	} {
		if shake(good, cfg) == nil {
			t.Errorf("%s was accepted", what)
		}
	}
	for what, o := range map[string]*TLS{"wrong host": {WrongHost: true}, "expired": {Expired: true}, "self-signed": {SelfSigned: true}} {
		if shake(start(t, "standard", Options{TLS: o}), &tls.Config{}) == nil {
			t.Errorf("%s certificate was fine", what)
		}
	}
	weak := start(t, "standard", Options{TLS: &TLS{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS12, CipherSuites: rc4}})
	if err := shake(weak, &tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: rc4}); err != nil {
		t.Errorf("RC4: %v", err)
	}
	old := start(t, "standard", Options{TLS: &TLS{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS10}})
	if err := shake(old, &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS10}); err != nil {
		t.Errorf("TLS 1.0: %v", err)
	}
	if got := good.ask(t, request{url: good.PlainURL(), form: form("grant_type", "client_credentials"), basic: good.primary()}); got.status != 200 {
		t.Errorf("plain: %d", got.status)
	}
}

func TestTwoAddresses(t *testing.T) {
	e := start(t, "standard", Options{TwoAddresses: true})
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(e.base, "http://"))
	if len(e.Addresses()) != 2 {
		t.Fatalf("addresses: %v", e.Addresses())
	}
	for _, host := range e.Addresses() {
		if got := e.ask(t, request{url: "http://" + net.JoinHostPort(host, port) + "/oauth/token", form: form("grant_type", "client_credentials"), basic: e.primary()}); got.status != 200 {
			t.Errorf("%s: %d", host, got.status)
		}
	}
}

func TestCORS(t *testing.T) {
	e := start(t, "standard", Options{})
	origin := e.Contract().Endpoint.BrowserOrigin
	ask := func(method, origin, secret string) reply {
		h := map[string]string{"Origin": origin}
		if method == "OPTIONS" {
			h["Access-Control-Request-Method"] = "POST"
		}
		return e.ask(t, request{method: method, form: form("grant_type", "client_credentials"), basic: [2]string{e.primary()[0], secret}, header: h})
	}
	for what, r := range map[string]reply{"preflight": ask("OPTIONS", origin, ""), "token": ask("POST", origin, e.primary()[1]), "refused": ask("POST", origin, "wrong")} {
		if r.header.Get("Access-Control-Allow-Origin") != origin || r.status == 405 {
			t.Errorf("%s: %d %v", what, r.status, r.header)
		}
	}
	if r := ask("POST", "https://foreign.example", e.primary()[1]); r.header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("foreign origin: %v", r.header)
	}
}

func TestDocumentedDialects(t *testing.T) {
	semansys := start(t, "semansys", Options{})
	c := semansys.Contract()
	v := form("grant_type", "password", "client_id", c.Client.ID, "client_secret", c.Client.Secret, "username", c.User.UserName, "password", "wrong")
	if got := semansys.ask(t, request{form: v}); got.status != 403 || got.code() != "invalid_grant" {
		t.Errorf("semansys, bad password: %d %s", got.status, got.body)
	}
	v.Set("password", c.User.Password)
	got := semansys.ask(t, request{form: v})
	if got.status != 200 || got.text("refresh_token") == "" || got.text("scope") == "" || got.text("token_type") != "bearer" {
		t.Errorf("semansys: %d %s", got.status, got.body)
	}

	talkdesk := start(t, "talkdesk", Options{})
	got = talkdesk.exchangeCode(t, talkdesk.freshCode(t, codeWith(talkdesk, "scope", "openid", "nonce", "n-1")))
	if got.status != 200 || got.text("sid") == "" || got.text("id_token") == "" || got.text("refresh_token") == "" {
		t.Errorf("talkdesk: %d %s", got.status, got.body)
	}
	if id, err := parseJWS(got.text("id_token")); err != nil || id.claims["nonce"] != "n-1" || id.claims["at_hash"] != halfHash("RS256", got.text("access_token")) || !talkdesk.keys[0].public().verify(id) {
		t.Errorf("id_token %v %+v", err, id)
	}
	if next := talkdesk.refreshWith(t, got.text("refresh_token")); next.status != 200 || next.text("sid") != got.text("sid") {
		t.Errorf("talkdesk refresh: %d %s", next.status, next.body)
	}

	appsecplus := start(t, "appsecplus", Options{})
	got = appsecplus.ask(t, request{raw: fill(appsecplus, "grant_type=client_credentials&client_id=ID&client_secret=SECRET")})
	if id, err := parseJWS(got.text("access_token")); got.status != 200 || err != nil || id.alg != "RS256" || got.json["expires_in"] != 3600.0 || len(got.json) != 3 {
		t.Errorf("appsecplus: %d %s", got.status, got.body)
	}
	if got = appsecplus.ask(t, request{raw: fill(appsecplus, "grant_type=client_credentials&client_id=ID")}); got.status != 400 || got.code() != "invalid_request" {
		t.Errorf("appsecplus, no secret: %d %s", got.status, got.body)
	}
}

func TestEditions(t *testing.T) {
	for edition, want := range map[string]string{"oauth20": "200", "bcp": "400 unsupported_grant_type", "oauth21": "400 unsupported_grant_type"} {
		e := start(t, "standard", Options{Edition: edition})
		u := e.Contract().User
		if got := e.ask(t, request{form: form("grant_type", "password", "username", u.UserName, "password", u.Password), basic: e.primary()}).short(); got != want {
			t.Errorf("password grant in %s: %s", edition, got)
		}
		if _, offered := e.Contract().GrantOfType("password"); offered != (edition == "oauth20") || e.Contract().Edition != edition {
			t.Errorf("contract of %s: %v %s", edition, offered, e.Contract().Edition)
		}
	}
}

func TestUsersOutsideASCII(t *testing.T) {
	e := start(t, "standard", Options{})
	u, ok := e.Contract().UserNamed("non_ascii")
	if !ok {
		t.Fatal("no such user")
	}
	e.ask(t, request{form: form("grant_type", "password", "username", u.UserName, "password", u.Password), basic: e.primary()}).is(t, u.UserName, 200, "")
}

// Fixed credentials are the same in every process, and are enough to bind the contract.
func TestFixedCredentials(t *testing.T) {
	for _, name := range []string{"standard", "talkdesk"} {
		c, _ := contract.Shipped(name)
		var envs [2]map[string]string
		for i := range envs {
			e, err := New(Options{Contract: c, FixedCredentials: true, Listen: "127.0.0.1:9096"})
			if err != nil {
				t.Fatal(err)
			}
			envs[i] = e.Env()
		}
		for n, v := range envs[0] {
			if v == "" || v != envs[1][n] {
				t.Errorf("%s is %q and %q", n, v, envs[1][n])
			}
		}
		e, err := New(Options{Contract: c, FixedCredentials: true, Listen: "127.0.0.1:9096"})
		if err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		if err := e.PrintEnv(&out); err != nil || strings.Count(out.String(), "export ") != len(envs[0]) || !strings.HasPrefix(out.String(), "export ") {
			t.Errorf("%v\n%s", err, out.String())
		}
		if _, _, err := c.Bind(func(n string) (string, bool) { v, ok := envs[0][n]; return v, ok }, contract.BindOptions{}); err != nil {
			t.Error(err)
		}
	}
}

func TestMemoryIsBounded(t *testing.T) {
	b := newBounded[int](3)
	for i := range 10 {
		b.put(fmt.Sprint(i), i)
	}
	if len(b.m) != 3 || b.m["9"] != 9 || len(b.order) != 3 {
		t.Errorf("%v", b.m)
	}
}

func BenchmarkToken(b *testing.B) {
	c, err := contract.Shipped("standard")
	if err != nil {
		b.Fatal(err)
	}
	for _, fast := range []bool{true, false} {
		b.Run(fmt.Sprintf("fast=%v", fast), func(b *testing.B) {
			e, err := New(Options{Contract: c, Fast: fast})
			if err != nil {
				b.Fatal(err)
			}
			defer e.Close()
			body := "grant_type=client_credentials&client_id=" + e.primary()[0] + "&client_secret=" + e.primary()[1]
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					r, _ := http.NewRequest("POST", e.URL(), strings.NewReader(body))
					r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
					w := discard{http.Header{}}
					e.ServeHTTP(w, r)
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "tokens/s")
		})
	}
}

type discard struct{ h http.Header }

func (d discard) Header() http.Header         { return d.h }
func (d discard) Write(p []byte) (int, error) { return len(p), nil }
func (d discard) WriteHeader(int)             {}
