package suites_test

import (
	"encoding/json"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"grantcheck/report"
	"grantcheck/suites"
	"grantcheck/suites/contract"
	"grantcheck/suites/exchange"
)

// A tiny token endpoint of its own, right in plain ways and odd in those that a test sets: a second
// opinion beside the emulator.
type odd struct {
	path   string
	public bool              // the client needs no secret
	users  map[string]string // name to password; nil: no password grant
	scopes []string          // known; nil: scope is not looked at
	told   bool              // every token answer tells the scope

	read   func(r *http.Request) (url.Values, error) // of the body; nil: the form
	before func(w http.ResponseWriter, r *http.Request) bool
	refuse func(w http.ResponseWriter, r *http.Request, form url.Values, status int, code string)
	grant  func(w http.ResponseWriter, form url.Values, scope string)
	number int
}

func (o *odd) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if o.before != nil && o.before(w, r) {
		return
	}
	if o.path != "" && r.URL.Path != o.path {
		http.NotFound(w, r)
		return
	}
	if r.Method != http.MethodPost && o.read == nil {
		w.Header().Set("Allow", "POST")
		http.Error(w, "POST only", http.StatusMethodNotAllowed)
		return
	}
	var form url.Values
	var err error
	if o.read != nil {
		form, err = o.read(r)
	} else {
		form, err = readForm(r)
	}
	no := func(status int, code string) {
		if o.refuse != nil {
			o.refuse(w, r, form, status, code)
			return
		}
		refuseJSON(w, r, status, code)
	}
	if err != nil {
		no(400, "invalid_request")
		return
	}
	for name, values := range form {
		if len(values) > 1 && slices.Contains([]string{"grant_type", "client_id", "client_secret", "scope", "username", "password"}, name) {
			no(400, "invalid_request")
			return
		}
	}
	id, secret := form.Get("client_id"), form.Get("client_secret")
	if user, password, ok := r.BasicAuth(); ok {
		if secret != "" {
			no(400, "invalid_request")
			return
		}
		user, _ = url.QueryUnescape(user)
		password, _ = url.QueryUnescape(password)
		if id != "" && id != user {
			no(400, "invalid_request")
			return
		}
		id, secret = user, password
	} else if r.Header.Get("Authorization") != "" {
		no(401, "invalid_client")
		return
	}
	if id != "the-client" || !o.public && secret != "the-secret-0123456789" {
		no(401, "invalid_client")
		return
	}
	switch form.Get("grant_type") {
	case "":
		no(400, "invalid_request")
		return
	case "client_credentials":
	case "password":
		if o.users == nil {
			no(400, "unsupported_grant_type")
			return
		}
		name, password := form.Get("username"), form.Get("password")
		if name == "" || password == "" {
			no(400, "invalid_request")
			return
		}
		if want, ok := o.users[name]; !ok || want != password {
			no(400, "invalid_grant")
			return
		}
	default:
		no(400, "unsupported_grant_type")
		return
	}
	scope := form.Get("scope")
	if o.scopes != nil {
		for _, s := range strings.Fields(scope) {
			if !slices.Contains(o.scopes, s) {
				no(400, "invalid_scope")
				return
			}
		}
		if scope == "" {
			scope = o.scopes[0]
		}
	}
	o.number++
	if o.grant != nil {
		o.grant(w, form, scope)
		return
	}
	body := map[string]any{"access_token": fmt.Sprintf("token-%08d-of-a-test-server", o.number), "token_type": "Bearer", "expires_in": 3600}
	if o.told {
		body["scope"] = scope
	}
	sendJSON(w, 200, body)
}

func readForm(r *http.Request) (url.Values, error) {
	if media, _, _ := strings.Cut(strings.ToLower(r.Header.Get("Content-Type")), ";"); strings.TrimSpace(media) != "application/x-www-form-urlencoded" {
		return nil, fmt.Errorf("media type %s", media)
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, 4<<20))
	if err != nil {
		return nil, err
	}
	form, err := url.ParseQuery(string(body))
	for name, values := range form {
		if values[0] == "" { // an empty value is no value
			delete(form, name)
		}
	}
	return form, err
}

func sendJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Pragma", "no-cache")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

func refuseJSON(w http.ResponseWriter, r *http.Request, status int, code string) {
	if status == 401 {
		w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
	}
	sendJSON(w, status, map[string]any{"error": code})
}

// plainContract is a page that says next to nothing; what a test adds to it is merged over it.
const plainContract = `
contract: 1
name: odd
extends: base
endpoint: {base_url: "http://127.0.0.1:1", path: /token}
client: {id: the-client, secret: "${SECRET}", auth: [basic, post]}
grants:
  client_credentials: {}
`

var oddValues = map[string]string{
	"SECRET": "the-secret-0123456789", "OTHER_SECRET": "another-secret-012345", "PASSWORD": "right horse battery", "OTHER_PASSWORD": "wrong horse battery",
}

// judgeOdd judges a server by a contract, in the groups named; all if none is.
func judgeOdd(t *testing.T, address, yaml string, change func(*suites.Config), groups ...string) *report.Run {
	t.Helper()
	c, err := contract.Parse("odd.yaml", []byte(yaml), t.TempDir(), contract.Options{})
	if err != nil {
		t.Fatal(err)
	}
	c, secrets, err := c.Bind(func(name string) (string, bool) { v, ok := oddValues[name]; return v, ok }, contract.BindOptions{URL: address})
	if err != nil {
		t.Fatal(err)
	}
	clock := &suites.SkippingClock{}
	zero := 0.0
	cfg := suites.Config{
		Contract: c, Exchange: exchange.Options{URL: address, Secrets: secrets}, Allow: []string{"all"}, Parallel: 1, Plain: true,
		Rate: &zero, MaxRequests: -1, Clock: clock, Selection: suites.Selection{Groups: groups},
	}
	if change != nil {
		change(&cfg)
	}
	run, err := suites.Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return run
}

// serveOdd starts a server and returns the address of its token endpoint.
func serveOdd(t *testing.T, h http.Handler) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL + "/token"
}

// findings lists what failed or warned.
func findings(run *report.Run) map[string]report.Verdict {
	out := map[string]report.Verdict{}
	for _, c := range run.Checks {
		if c.Verdict == report.Fail || c.Verdict == report.Warn || c.Verdict == report.Error {
			out[c.Rule] = c.Verdict
		}
	}
	return out
}

func verdictOf(run *report.Run, rule string) report.Check {
	for _, c := range run.Checks {
		if c.Rule == rule {
			return c
		}
	}
	return report.Check{}
}

// expectFindings holds that these rules failed or warned, and no others.
func expectFindings(t *testing.T, run *report.Run, want ...string) {
	t.Helper()
	got := slices.Sorted(maps.Keys(findings(run)))
	slices.Sort(want)
	if slices.Equal(got, want) {
		return
	}
	t.Errorf("findings %q, want %q", got, want)
	for _, c := range run.Checks {
		if slices.Contains(got, c.Rule) && !slices.Contains(want, c.Rule) {
			t.Errorf("%s: %s, expected %s, came %s (%s)", c.Rule, c.Verdict, c.Expected, c.Actual, c.Message)
		}
	}
	for _, p := range run.Preflight {
		t.Errorf("preflight: %s", p.Message)
	}
}

var quiet = log.New(io.Discard, "", 0)

// tunnel connects a CONNECT request with an address.
func tunnel(w http.ResponseWriter, address string) {
	far, err := net.Dial("tcp", address)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer far.Close()
	near, buf, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer near.Close()
	_, _ = io.WriteString(near, "HTTP/1.1 200 OK\r\n\r\n")
	go func() { _, _ = io.Copy(far, buf); far.Close() }()
	_, _ = io.Copy(near, far)
}
