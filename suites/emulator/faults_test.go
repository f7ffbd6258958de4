package emulator

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"grantcheck/suites/contract"
)

// probes show each fault: what the emulator answers without it and with it.
var probes = map[string]struct {
	ask       func(t *testing.T, e *Emulator) string
	good, bad string
}{
	"request.form-accepted":                      {posts("grant_type=client_credentials"), "200", "415 invalid_request"},
	"request.form-charset-parameter":             {typed("application/x-www-form-urlencoded; charset=UTF-8"), "200", "415 invalid_request"},
	"request.media-type-case":                    {typed("Application/X-WWW-Form-URLEncoded"), "200", "415 invalid_request"},
	"request.missing-grant-type":                 {posts("scope=read"), "400 invalid_request", "200"},
	"request.empty-grant-type":                   {posts("grant_type="), "400 invalid_request", "200"},
	"request.empty-grant-type/other-code":        {posts("grant_type="), "400 invalid_request", "400 invalid_grant"},
	"request.unknown-grant-type":                 {posts("grant_type=nonsense"), "400 unsupported_grant_type", "400 invalid_grant"},
	"request.unknown-grant-type/accepted":        {posts("grant_type=urn:example:x"), "400 unsupported_grant_type", "200"},
	"request.grant-type-case":                    {posts("grant_type=CLIENT_CREDENTIALS"), "400 unsupported_grant_type", "200"},
	"request.param-name-case":                    {posts("Grant_Type=client_credentials"), "400 invalid_request", "200"},
	"request.unrecognized-ignored":               {posts("grant_type=client_credentials&grantcheck_1=1"), "200", "400 invalid_request"},
	"request.unrecognized-ignored/fewer-members": {members200("grant_type=client_credentials&grantcheck_1=1"), "access_token token_type expires_in scope", "access_token token_type scope"},
	"request.empty-optional-omitted":             {posts("grant_type=client_credentials&scope="), "200", "400 invalid_scope"},
	"request.empty-optional-omitted/other-scope": {scoped("grant_type=client_credentials&scope="), "200 read", "200 read write"},
	"request.duplicate-conflicting":              {posts("grant_type=client_credentials&grant_type=nonsense"), "400 invalid_request", "200"},
	"request.duplicate-conflicting/last-wins":    {posts("grant_type=nonsense&grant_type=client_credentials"), "400 invalid_request", "200"},
	"request.duplicate-identical":                {posts("grant_type=client_credentials&grant_type=client_credentials"), "400 invalid_request", "200"},
	"request.duplicate-identical/other-code":     {posts("grant_type=client_credentials&grant_type=client_credentials"), "400 invalid_request", "400 unsupported_grant_type"},
	"request.duplicate-client-id":                {inBody("grant_type=client_credentials&client_id=nobody&client_id=ID&client_secret=SECRET"), "400 invalid_request", "200"},
	"request.duplicate-client-id/first-wins":     {inBody("grant_type=client_credentials&client_id=ID&client_id=nobody&client_secret=SECRET"), "400 invalid_request", "200"},
	"request.scope-omitted":                      {posts("grant_type=client_credentials"), "200", "400 invalid_request"},
	"request.scope-unknown":                      {scoped("grant_type=client_credentials&scope=read+grantcheck_1"), "400 ", "200 "},
	"request.scope-unknown/reported-as-granted":  {scoped("grant_type=client_credentials&scope=read+grantcheck_1"), "400 ", "200 read grantcheck_1"},
	"request.scope-unknown/invalid-request":      {posts("grant_type=client_credentials&scope=grantcheck_1"), "400 invalid_scope", "400 invalid_grant"},
	"request.scope-malformed":                    {scoped("grant_type=client_credentials&scope=%22"), "400 ", `200 "`},
	"request.scope-order":                        {scoped("grant_type=client_credentials&scope=write%20read"), "200 write read", "400 "},
	"request.scope-order/first-only":             {scoped("grant_type=client_credentials&scope=write%20read"), "200 write read", "200 write"},
	"request.plus-is-space":                      {scoped("grant_type=client_credentials&scope=read+write"), "200 read write", "400 "},
	"request.percent-decoding":                   {posts("grant_type=client%5Fcredentials"), "200", "400 unsupported_grant_type"},
	"request.percent-decoding/names":             {posts("%67rant_type=client_credentials"), "200", "400 invalid_request"},
	"request.order-independent":                  {posts("scope=read&grant_type=client_credentials"), "200", "400 invalid_request"},
	"request.grant-in-query":                     {inQuery("grant_type=client_credentials", "client_id=ID&client_secret=SECRET"), "400 invalid_request", "200"},
	"client-auth.basic-supported":                {posts("grant_type=client_credentials"), "200", "401 invalid_client"},
	"client-auth.post-supported":                 {inBody("grant_type=client_credentials&client_id=ID&client_secret=SECRET"), "200", "401 invalid_client"},
	"client-auth.basic-form-decoding":            {special, "200", "401 invalid_client"},
	"client-auth.basic-scheme-case":              {authorized("basic ID:SECRET"), "200", "401 invalid_client"},
	"client-auth.wrong-secret-refused":           {authorized("Basic ID:wrong"), "401 invalid_client", "200"},
	"client-auth.secret-exact-match":             {authorized("Basic ID:SECRETx"), "401 invalid_client", "200"},
	"client-auth.secret-exact-match/letter-case": {withSecret(swapCase), "401 invalid_client", "200"},
	"client-auth.secret-exact-match/shorter":     {withSecret(func(s string) string { return s[:len(s)-1] }), "401 invalid_client", "200"},
	"client-auth.secret-exact-match/longer":      {withSecret(func(s string) string { return s + "x" }), "401 invalid_client", "200"},
	"client-auth.secret-exact-match/byte-72":     {withSecret(func(s string) string { return s[:len(s)-1] }), "401 invalid_client", "200"},
	"client-auth.secret-beyond-byte-72":          {longSecret, "401 invalid_client", "200"},
	"client-auth.unknown-client-refused":         {authorized("Basic nobody:nothing"), "401 invalid_client", "200"},
	"client-auth.missing-refused":                {inBody("grant_type=client_credentials&client_id=ID"), "401 invalid_client", "200"},
	"client-auth.anonymous-refused":              {inBody("grant_type=client_credentials"), "401 invalid_client", "200"},
	"client-auth.empty-secret-refused":           {inBody("grant_type=client_credentials&client_id=ID&client_secret="), "401 invalid_client", "200"},
	"client-auth.malformed-basic":                {header("Basic %%%"), "401 invalid_client", "500 server_error"},
	"client-auth.client-id-exact":                {otherCase, "401 invalid_client", "200"},
	"client-auth.basic-junk":                     {junk, "401 invalid_client", "200"},
	"client-auth.malformed-basic/accepted":       {header("Basic bm8tY29sb24="), "401 invalid_client", "200"},
	"client-auth.unsupported-scheme":             {header("GrantCheck abc"), "401 invalid_client", "200"},
	"client-auth.two-methods":                    {posts("grant_type=client_credentials&client_id=ID&client_secret=SECRET"), "400 invalid_request", "200"},
	"client-auth.two-methods/other-code":         {posts("grant_type=client_credentials&client_id=ID&client_secret=SECRET"), "400 invalid_request", "400 invalid_grant"},
	"client-auth.two-methods-conflict":           {posts("grant_type=client_credentials&client_id=ID&client_secret=wrong"), "400 invalid_request", "200"},
	"client-auth.client-id-with-basic":           {posts("grant_type=client_credentials&client_id=ID"), "200", "400 invalid_request"},
	"client-auth.client-id-mismatch":             {posts("grant_type=client_credentials&client_id=OTHER"), "400 invalid_request", "200"},
	"client-auth.credentials-in-query":           {inQuery("client_id=ID&client_secret=SECRET", "grant_type=client_credentials"), "401 invalid_client", "200"},
	"client-auth.secret-strength":                {secretLength, "43", "8"},
	"client-auth.secret-strength/repeated":       {secretLength, "43", "40"},
	"cc.happy-path":                              {posts("grant_type=client_credentials"), "200", "400 unauthorized_client"},
	"cc.no-refresh-token":                        {members200("grant_type=client_credentials"), "access_token token_type expires_in scope", "access_token token_type expires_in scope refresh_token"},
	"cc.public-client-refused":                   {public, "400 unauthorized_client", "200"},
	"cc.unauthorized-client":                     {noGrant, "400 unauthorized_client", "400 invalid_grant"},
	"cc.unauthorized-client/accepted":            {noGrant, "400 unauthorized_client", "200"},
	"cc.scope-accepted":                          {posts("grant_type=client_credentials&scope=read"), "200", "400 invalid_request"},
}

// fill puts the credentials of the primary client, and the id of another, into a probe.
func fill(e *Emulator, s string) string {
	c := e.Contract()
	second, _ := c.ClientNamed("second")
	return strings.NewReplacer("ID", url.QueryEscape(c.Client.ID), "SECRET", url.QueryEscape(c.Client.Secret), "OTHER", url.QueryEscape(second.ID)).Replace(s)
}

func (r reply) short() string {
	if r.status == 200 && r.text("access_token") != "" {
		return "200"
	}
	return fmt.Sprintf("%d %s", r.status, r.code())
}

func posts(body string) func(*testing.T, *Emulator) string {
	return func(t *testing.T, e *Emulator) string {
		return e.ask(t, request{raw: fill(e, body), basic: e.primary()}).short()
	}
}

func inBody(body string) func(*testing.T, *Emulator) string {
	return func(t *testing.T, e *Emulator) string { return e.ask(t, request{raw: fill(e, body)}).short() }
}

func inQuery(query, body string) func(*testing.T, *Emulator) string {
	return func(t *testing.T, e *Emulator) string {
		return e.ask(t, request{url: e.URL() + "?" + fill(e, query), raw: fill(e, body)}).short()
	}
}

func typed(contentType string) func(*testing.T, *Emulator) string {
	return func(t *testing.T, e *Emulator) string {
		return e.ask(t, request{raw: "grant_type=client_credentials", basic: e.primary(), header: map[string]string{"Content-Type": contentType}}).short()
	}
}

func header(authorization string) func(*testing.T, *Emulator) string {
	return func(t *testing.T, e *Emulator) string {
		return e.ask(t, request{raw: "grant_type=client_credentials", header: map[string]string{"Authorization": authorization}}).short()
	}
}

// authorized encodes what follows the scheme.
func authorized(s string) func(*testing.T, *Emulator) string {
	return func(t *testing.T, e *Emulator) string {
		scheme, pair, _ := strings.Cut(fill(e, s), " ")
		return header(scheme+" "+base64.StdEncoding.EncodeToString([]byte(pair)))(t, e)
	}
}

func withSecret(change func(string) string) func(*testing.T, *Emulator) string {
	return func(t *testing.T, e *Emulator) string {
		p := e.primary()
		p[1] = change(p[1])
		return e.ask(t, request{raw: "grant_type=client_credentials", basic: p}).short()
	}
}

func swapCase(s string) string {
	return strings.Map(func(r rune) rune {
		if up := []rune(strings.ToUpper(string(r)))[0]; up != r {
			return up
		}
		return []rune(strings.ToLower(string(r)))[0]
	}, s)
}

func named(t *testing.T, e *Emulator, fixture string) *contract.Client {
	c, ok := e.Contract().ClientNamed(fixture)
	if !ok {
		t.Fatalf("no client %s", fixture)
	}
	return c
}

func special(t *testing.T, e *Emulator) string {
	c := named(t, e, "special_secret")
	return e.ask(t, request{raw: "grant_type=client_credentials", basic: [2]string{c.ID, c.Secret}}).short()
}

// longSecret shows the answer to the first 72 bytes of a secret that has more.
func longSecret(t *testing.T, e *Emulator) string {
	c := named(t, e, "long_secret")
	return e.ask(t, request{raw: "grant_type=client_credentials", basic: [2]string{c.ID, c.Secret[:72]}}).short()
}

func otherCase(t *testing.T, e *Emulator) string {
	c := e.Contract().Client
	return e.ask(t, request{raw: "grant_type=client_credentials", basic: [2]string{strings.ToUpper(c.ID), c.Secret}}).short()
}

func junk(t *testing.T, e *Emulator) string {
	c := e.Contract().Client
	return header("Basic "+base64.StdEncoding.EncodeToString([]byte(c.ID+":"+c.Secret))+"!x")(t, e)
}

func public(t *testing.T, e *Emulator) string {
	return e.ask(t, request{form: form("grant_type", "client_credentials", "client_id", named(t, e, "public").ID)}).short()
}

func noGrant(t *testing.T, e *Emulator) string {
	c := named(t, e, "no_grant")
	return e.ask(t, request{raw: "grant_type=client_credentials", basic: [2]string{c.ID, c.Secret}}).short()
}

func secretLength(t *testing.T, e *Emulator) string {
	return fmt.Sprint(len(e.Contract().Client.Secret))
}

// scoped shows status and scope member.
func scoped(body string) func(*testing.T, *Emulator) string {
	return func(t *testing.T, e *Emulator) string {
		r := e.ask(t, request{raw: body, basic: e.primary()})
		return fmt.Sprintf("%d %s", r.status, r.text("scope"))
	}
}

// members200 shows the names of the answer in their order.
func members200(body string) func(*testing.T, *Emulator) string {
	return func(t *testing.T, e *Emulator) string {
		r := e.ask(t, request{raw: body, basic: e.primary()})
		var names []string
		for _, name := range []string{"access_token", "token_type", "expires_in", "scope", "refresh_token"} {
			if r.json[name] != nil {
				names = append(names, name)
			}
		}
		return strings.Join(names, " ")
	}
}

func TestFaultsChangeTheAnswer(t *testing.T) {
	good := start(t, "standard", Options{})
	for name, p := range probes {
		t.Run(name, func(t *testing.T) {
			if got := p.ask(t, good); got != p.good {
				t.Errorf("without the fault %q, want %q", got, p.good)
			}
			if got := p.ask(t, start(t, "standard", Options{Faults: []string{name}})); got != p.bad {
				t.Errorf("with the fault %q, want %q", got, p.bad)
			}
		})
	}
	for _, f := range append(append(requestFaults, clientAuthFaults...), clientCredentialsFaults...) {
		if _, ok := probes[f.Name]; !ok {
			t.Errorf("no probe shows %s", f.Name)
		}
	}
}

func TestFaultNames(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range Faults() {
		if seen[f.Name] {
			t.Errorf("fault %s twice", f.Name)
		}
		seen[f.Name] = true
		if f.Name != f.Rule && !strings.HasPrefix(f.Name, f.Rule+"/") {
			t.Errorf("fault %s does not name its rule %s", f.Name, f.Rule)
		}
		if f.Text == "" || f.Apply == nil {
			t.Errorf("fault %s is unfinished", f.Name)
		}
	}
	for _, v := range Variations() {
		if seen[v.Name] || v.Text == "" || v.Apply == nil {
			t.Errorf("variation %s is unfinished or named twice", v.Name)
		}
		seen[v.Name] = true
	}
	c, err := contract.Shipped("standard")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := New(Options{Contract: c, Faults: []string{"request.unknown-grant-typ"}}); err == nil || !strings.Contains(err.Error(), `did you mean "request.unknown-grant-type"`) {
		t.Error(err)
	}
}
