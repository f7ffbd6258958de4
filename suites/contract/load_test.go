package contract

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

const gallery = "../../testdata/contracts/gallery"

func galleryFiles(t testing.TB) []string {
	t.Helper()
	files, err := filepath.Glob(gallery + "/*.yaml")
	if err != nil || len(files) < 29 {
		t.Fatalf("gallery: %d files, %v", len(files), err)
	}
	return files
}

func TestGalleryLoadsAndLints(t *testing.T) {
	for _, f := range galleryFiles(t) {
		c, problems, err := Lint(f, Options{Now: strict.Now})
		if err != nil || c == nil {
			t.Errorf("%v %v", err, problems)
		}
	}
}

func TestShippedContractsLintClean(t *testing.T) {
	for _, name := range ShippedNames() {
		c, problems, err := Lint(name, Options{Now: strict.Now})
		if err != nil || len(problems) > 0 || c == nil || c.Name != name {
			t.Errorf("%s: %v %v", name, err, problems)
		}
	}
}

func TestOpenSaysWhatItLookedFor(t *testing.T) {
	for name, want := range map[string]string{
		"standrad":        `no contract "standrad": neither a file nor a shipped contract; did you mean "standard"?`,
		"nowhere.yaml":    "contract nowhere.yaml: file does not exist",
		"./nowhere/x.yml": "contract ./nowhere/x.yml: file does not exist",
		".":               "contract . is a directory; name the file in it",
	} {
		if _, err := Open(name); err == nil || err.Error() != want {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// write makes contract files in a directory of their own and loads the first.
func write(t *testing.T, files ...string) (*Contract, error) {
	t.Helper()
	dir := t.TempDir()
	first := ""
	for i := 0; i < len(files); i += 2 {
		path := filepath.Join(dir, files[i]+".yaml")
		if first == "" {
			first = path
		}
		if err := os.WriteFile(path, []byte("contract: 1\nname: "+files[i]+"\n"+files[i+1]), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return Load(first)
}

const rest = `endpoint: {base_url: "https://as.acme.example", path: /token}
client: {id: acme, auth: [none]}
`

func TestInheritance(t *testing.T) {
	c, err := write(t,
		"child", `extends: [left, right]
title: Child
client: {id: acme, auth: [none]}
scopes: {request: [c]}
grants:
  password: null
  client_credentials:
    response:
      fields:
        expires_in: null
        token_type: {const: bearer}
    assertion: {claims: {sub: null}}
errors: []
`,
		"left", `extends: base
abstract: true
edition: bcp
endpoint: {base_url: "https://left.example", path: /left}
page: https://left.example
scopes: {request: [a, b], grantable: [a, b, c]}
grants:
  client_credentials:
    response:
      fields:
        access_token: {type: string, required: true}
        token_type: {type: string, required: true, const: Bearer}
        expires_in: {type: integer}
  password: {}
`,
		"right", `extends: base
abstract: true
endpoint: {path: /right}
safety: {max_requests: 10}
errors: [{when: [other], status: 400}]
`)
	if err != nil {
		t.Fatal(err)
	}
	if c.Endpoint.BaseURL != "https://left.example" || c.Endpoint.Path != "/right" || c.Title != "Child" || c.Abstract || c.Name != "child" {
		t.Errorf("%+v", c.Endpoint)
	}
	// base, which right extends too, comes after left: left to right, whole contracts.
	if c.Edition != "oauth20" {
		t.Errorf("edition %s", c.Edition)
	}
	if !slices.Equal(c.Scopes.Request, []string{"c"}) || len(c.Scopes.Grantable) != 3 {
		t.Errorf("lists replace: %+v", c.Scopes)
	}
	if c.Safety.MaxRequests != 10 || c.Safety.MaxRate != 20 {
		t.Errorf("maps merge: %+v", c.Safety)
	}
	if len(c.Grants) != 1 || len(c.Errors) != 0 {
		t.Fatalf("%+v", c.Grants)
	}
	g := c.Grants[0]
	if len(g.Response.Fields) != 2 || g.Response.Fields[1].Const != "bearer" || g.Response.Fields[1].Required.Mode != "true" {
		t.Errorf("%+v", g.Response.Fields)
	}
	if len(g.Assertion.Claims) != 1 || !g.Assertion.Claims[0].Drop {
		t.Errorf("under claims null drops: %+v", g.Assertion)
	}
}

func TestInheritanceBesideAndShipped(t *testing.T) {
	// A file of its own name means the shipped contract; other files come before shipped ones.
	c, err := write(t, "appsecplus", "extends: appsecplus\nwaivers: [{rule: a.b, reason: c, expires: 2027-01-01}]\n")
	if err != nil || c.Endpoint.Path != "/oauth/token" || len(c.Waivers) != 1 {
		t.Errorf("%v %+v", err, c)
	}
	c, err = write(t, "child", "extends: base\n"+rest+"grants: {client_credentials: {}}\n", "base", "abstract: true\nclock_skew: 7s\n")
	if err != nil || c.ClockSkew != 7*time.Second || c.Safety.MaxRequests != 0 {
		t.Errorf("%v %+v", err, c)
	}
	_, err = write(t, "a", "extends: a\n")
	if err == nil || !strings.Contains(err.Error(), `unknown contract "a"`) {
		t.Error(err)
	}
}

func TestMistakeIsShownInTheFileThatHoldsIt(t *testing.T) {
	_, err := write(t, "child", "extends: parent\nclient: {id: x, auth: [none]}\n", "parent",
		"endpoint: {base_url: \"https://x.example\", path: /t}\ngrants: {client_credentials: {client: secnd}}\n")
	var le *LoadError
	if !errors.As(err, &le) || len(le.Problems) != 1 {
		t.Fatal(err)
	}
	if p := le.Problems[0]; filepath.Base(p.File) != "parent.yaml" || p.Line != 4 || p.Column != 39 || !strings.Contains(p.Excerpt, "> 4 |") {
		t.Errorf("%+v", p)
	}
}

func TestModel(t *testing.T) {
	c, err := Parse("acme", []byte(`contract: 1
name: acme
extends: base
page: [https://a.example/x, https://a.example/y]
endpoint:
  base_url: https://as.example
  path: /token
  method: [POST, GET]
  content_type: [application/json]
  parameters: {X-Version: {in: header, const: "2"}, audience: {value: a}}
client: {id: a, secret: "${S}", auth: post}
clients: {signer: {id: b, key_file: "${K}", auth: [jwt], assertion: {alg: ES256, lifetime: 90, audience: x, header: {typ: null, x5t: y}}}}
revocation: {url: "https://as.example/r", client: signer}
user: {name: "zoë", password: "${P}"}
grants:
  code: {type: authorization_code, endpoint: {path: /other, parameters: {audience: {value: b}}}}
  refresh_token: {rotation: always, grace: 30d}
  jwt_bearer: {assertion: unspecified, parameters: {assertion: {value: hook.jwt}}, enabled: ask}
hooks: {jwt: "${H}"}
errors:
  - {when: [bad_code], status: [400, 4xx], code: [a, 7], fields: {error.sub: 12, error.text: null, "a\\.b": {const: x}}}
error_fields: {error.code: {as: error}, error.text: {type: string}, detail: {}}
headers: {X-Id: {status: 200, required: true, format: uuid}}
token: {lifetime: 1h, code_lifetime: {typical: 60, max: 2m}, live: {max: 30, per: client}}
rate_limit:
  - {limit: 60, window: 1m, retry_hint: {name: wait, in: body, unit: milliseconds}, headers: {reset: X-Reset}}
  - {documented: false}
slo: [{metric: latency, percentile: 99.5, max: 300ms, rate: 120/m, for: 2m}, {metric: success, min: 99.9%}]
waivers: [{rule: a.b, reason: c, expires: 2027-03-31}]
`), "", Options{})
	if err != nil {
		t.Fatal(err)
	}
	e := c.TokenEndpoint(&c.Grants[0])
	if e.Path != "/other" || e.BaseURL != "https://as.example" || len(e.Method) != 2 || len(e.Parameters) != 2 || e.Parameters[1].Value != "b" {
		t.Errorf("%+v", e)
	}
	if g, _ := c.Grant("jwt_bearer"); g.Type != GrantJWTBearer || !g.Assertion.Unspecified || g.Enabled != "ask" {
		t.Errorf("%+v", g)
	}
	if g, _ := c.GrantOfType(GrantRefreshToken); g.Grace != 30*24*time.Hour || g.Rotation != "always" || g.Parameters[1].Name != "refresh_token" || g.ParametersGiven {
		t.Errorf("%+v", g)
	}
	row := c.Errors[0]
	if !slices.Equal(row.Status, []string{"400", "4xx"}) || row.Code[1] != int64(7) || !slices.Equal(row.Dropped, []string{"error.text"}) ||
		row.Fields[0].Const != int64(12) || !slices.Equal(row.Fields[1].Path, []string{"a.b"}) {
		t.Errorf("%+v", row)
	}
	var names []string
	for _, f := range c.RowFields(row) {
		names = append(names, f.Name)
	}
	if !slices.Equal(names, []string{"error.code", "detail", "error.sub", `a\.b`}) {
		t.Errorf("%q", names)
	}
	if c.Revocation.Client == nil || c.Revocation.Client.Name != "signer" || c.Revocation.Client.Assertion.Lifetime != 90*time.Second {
		t.Errorf("%+v", c.Revocation)
	}
	if c.Token.Lifetime.Const != 3600.0 || *c.Token.CodeLifetime.Max != 120 || c.Token.Live != 30 || c.Token.LivePer != "client" {
		t.Errorf("%+v", c.Token)
	}
	l := c.RateLimits[0]
	if !l.Documented || l.Limit != 60 || l.Window != time.Minute || l.RetryHint.In != "body" || l.Headers["reset"].Name != "X-Reset" || c.RateLimits[1].Documented {
		t.Errorf("%+v", c.RateLimits)
	}
	if c.SLOs[0].Rate != 2 || c.SLOs[0].Max != 300*time.Millisecond || c.SLOs[1].Min < 0.9989 || c.SLOs[1].Min > 0.9991 {
		t.Errorf("%+v", c.SLOs)
	}
	if h := c.Headers[0]; h.Name != "X-Id" || h.Status[0] != 200 || h.Format != "uuid" || h.Required.Mode != "true" {
		t.Errorf("%+v", h)
	}
	w := c.Waivers[0]
	if w.Expired(time.Date(2027, 3, 31, 23, 59, 59, 0, time.UTC)) || !w.Expired(time.Date(2027, 4, 1, 0, 0, 0, 0, time.UTC)) {
		t.Error("a waiver holds to the end of its day")
	}
}

func TestFieldsAreFoundByThePartTheyPlay(t *testing.T) {
	for _, tt := range []struct{ file, grant, part, want string }{
		{"slack", "authorization_code", "access_token", "access_token"}, // not authed_user.access_token
		{"strava", "authorization_code", "expires_at", "expires_at"},
		{"twitch", "client_credentials", "refresh_token", ""},
	} {
		c, err := Load(gallery + "/" + tt.file + ".yaml")
		if err != nil {
			t.Fatal(err)
		}
		g, _ := c.Grant(tt.grant)
		if f, _ := g.FieldFor(tt.part); f.Name != tt.want {
			t.Errorf("%s: %s is %q", tt.file, tt.part, f.Name)
		}
	}
	for file, want := range map[string]string{"facebook": "error.code", "ups": "response.errors.0.code", "hubspot": "category", "x": ""} {
		c, err := Load(gallery + "/" + file + ".yaml")
		if err != nil {
			t.Fatal(err)
		}
		if f, _ := FieldFor(c.ErrorFields, "error"); f.Name != want {
			t.Errorf("%s: error is %q", file, f.Name)
		}
	}
	tiktok, err := Load(gallery + "/tiktok.yaml")
	if err != nil {
		t.Fatal(err)
	}
	p := tiktok.Grants[0].Parameters[0]
	if word, _, _ := p.Source(""); p.Role() != "client_id" || word != "client.id" {
		t.Errorf("%s is %s from %s", p.Name, p.Role(), word)
	}
}

func TestFeaturesNameWhatAContractAsksFor(t *testing.T) {
	for file, want := range map[string][]string{
		"notion":      {"json request", "header parameters", "authorization_code", "basic authentication", "code hook"},
		"github":      {"form response", "hooks", "device_code", "no authentication"},
		"zoom":        {"vendor grant", "query parameters"},
		"facebook":    {"get request", "vendor grant"},
		"amazon-lwa":  {"several content types"},
		"google":      {"jwt_bearer"},
		"entra":       {"jwt authentication", "client assertion", "hooks"},
		"shopify":     {"token_exchange"},
		"discord":     {"throttled body hint", "revocation", "rate limit"},
		"figma":       {"own endpoint"},
		"cognito":     {"response headers"},
		"adobe-ims":   {"query parameters"},
		"../standard": {"client_secret_jwt", "login", "metadata", "jwks", "introspection", "resource", "scoped resource", "browser origin", "password"},
	} {
		var c *Contract
		var err error
		if name, ok := strings.CutPrefix(file, "../"); ok {
			c, err = Shipped(name)
		} else {
			c, err = Load(gallery + "/" + file + ".yaml")
		}
		if err != nil {
			t.Fatal(err)
		}
		have := map[string]Feature{}
		for _, f := range c.Features() {
			have[f.Name] = f
			if !slices.Contains(FeatureNames(), f.Name) {
				t.Errorf("%s is not among the names", f.Name)
			}
		}
		for _, w := range want {
			if f, ok := have[w]; !ok || f.Line == 0 || f.File == "" {
				t.Errorf("%s: %s: %+v of %v", file, w, f, have)
			}
		}
	}
}

// A secret written into any contract, well formed or not, does not come out.
func TestLiteralSecretsStayHidden(t *testing.T) {
	const canary = "Zq7-canary!x"
	for _, file := range []string{"google", "salesforce", "entra", "keycloak", "x", "cognito"} {
		name := gallery + "/" + file + ".yaml"
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, form := range []string{canary, `"` + canary + `"`, "'" + canary, "|\n      " + canary, ">\n      two lines\n      " + canary} {
			for _, ref := range reference.FindAll(data, -1) {
				low := strings.ToLower(string(ref))
				if !strings.Contains(low, "secret") && !strings.Contains(low, "password") && !strings.Contains(low, "key_file") {
					continue
				}
				broken := bytes.Replace(data, ref, []byte(form), 1)
				for _, text := range [][]byte{broken, append(broken, "\n}: ]"...), bytes.Replace(broken, []byte("secret:"), []byte("secrt:"), 1)} {
					_, err := Parse(name, text, "", Options{})
					if err == nil {
						t.Fatalf("%s: accepted %s for %s", name, form, ref)
					}
					if strings.Contains(err.Error(), "canary") {
						t.Errorf("%s: %s for %s:\n%s", name, form, ref, err)
					}
				}
			}
		}
	}
}

func TestPatternsOfPagesCompile(t *testing.T) {
	for p, tt := range map[string]struct{ good, bad string }{
		"^Atza[|].{1,2043}$":    {"Atza|" + strings.Repeat("x", 2043), "Atza|" + strings.Repeat("x", 2044)},
		"^(ab){1500}$":          {strings.Repeat("ab", 1500), strings.Repeat("ab", 1499)},
		`^\d{1200,}$`:           {strings.Repeat("1", 1300), strings.Repeat("1", 1199)},
		`^[^]\]x]{1,1001}$`:     {strings.Repeat("y", 1001), strings.Repeat("y", 1002)},
		`^[[:alpha:]]{0,1100}$`: {"", strings.Repeat("y", 1101)},
		"^xox":                  {"xoxb", "yxox"},
	} {
		re, err := CompilePattern(p)
		if err != nil {
			t.Errorf("%s: %v", p, err)
			continue
		}
		if !re.MatchString(tt.good) || re.MatchString(tt.bad) {
			t.Errorf("%s", p)
		}
	}
	if _, err := CompilePattern("^.{1,900000}$"); err == nil {
		t.Error("a count without bound compiles")
	}
}

func TestHugeInputIsRefusedQuickly(t *testing.T) {
	for name, text := range map[string]string{
		"long":    strings.Repeat("a: b\n", maxBytes),
		"nested":  "a: " + strings.Repeat("[", 10000),
		"dashes":  strings.Repeat("- ", 10000) + "a",
		"aliases": "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: [*e,*e,*e,*e,*e,*e,*e,*e,*e]\n",
		"indent":  deepBlock(200),
		"utf-8":   "contract: 1\nname: \xff\n",
	} {
		if _, err := Parse("big.yaml", []byte(text), "", Options{}); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func deepBlock(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	return b.String()
}
