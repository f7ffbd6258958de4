package contract

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func from(env map[string]string) Lookup {
	return func(name string) (string, bool) { v, ok := env[name]; return v, ok }
}

func mustParse(t testing.TB, text string) *Contract {
	t.Helper()
	c, err := Parse("acme.yaml", []byte(text), "", Options{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

const acme = `contract: 1
name: acme
extends: base
endpoint: {base_url: "${ACME_BASE_URL}", path: "/${ACME_TENANT}/token"}
revocation: {url: "${ACME_BASE_URL}/revoke"}
client: {id: "${ACME_CLIENT_ID}", secret: "${ACME_CLIENT_SECRET}", auth: [post], redirect_uri: "https://app.acme.example/cb"}
scopes: {request: ["${ACME_SCOPE}", openid]}
hooks: {sig: "${ACME_SIG_HOOK}"}
clients:
  second: {id: "${ACME_SECOND_ID}", secret: "${ACME_SECOND_SECRET}", auth: [basic], optional: true}
grants:
  client_credentials:
    parameters:
      grant_type: {required: true}
      audience:   {value: "${ACME_AUDIENCE}"}
  delegated:
    client: second
    type: client_credentials
    optional: true
  signed:
    optional: true
    parameters:
      grant_type: {required: true}
      sig:        {required: true, value: hook.sig}
  refresh_token:
    enabled: ask
    parameters:
      grant_type:    {required: true}
      refresh_token: {required: true}
      realm:         {required: true, value: "${ACME_REALM}"}
`

func acmeEnv() map[string]string {
	return map[string]string{
		"ACME_BASE_URL": "https://as.acme.example", "ACME_TENANT": "t1", "ACME_CLIENT_ID": "web", "ACME_CLIENT_SECRET": "s3cret",
		"ACME_SCOPE": "read  write", "ACME_AUDIENCE": "client.id",
	}
}

func TestBindReplacesReferences(t *testing.T) {
	c := mustParse(t, acme)
	before := c.Clone()
	b, secrets, err := c.Bind(from(acmeEnv()), BindOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if b.Endpoint.BaseURL != "https://as.acme.example" || b.Endpoint.Path != "/t1/token" || b.Revocation.URL != "https://as.acme.example/revoke" || b.Client.Secret != "s3cret" {
		t.Errorf("%+v %+v", b.Endpoint, b.Client)
	}
	if !slices.Equal(b.Scopes.Request, []string{"read", "write", "openid"}) {
		t.Errorf("one variable holds several scopes: %q", b.Scopes.Request)
	}
	// Addresses and scopes are shown; what a parameter takes from a variable is masked.
	want := map[string]string{"ACME_CLIENT_ID": "web", "ACME_CLIENT_SECRET": "s3cret", "ACME_AUDIENCE": "client.id"}
	if diff := cmp.Diff(want, secrets); diff != "" {
		t.Error(diff)
	}
	g, _ := b.Grant("client_credentials")
	word, literal, ok := g.Parameters[1].Source(g.Type)
	if word != "" || literal != "client.id" || !ok {
		t.Errorf("a literal spelt like a source goes through a reference: %q %v", word, literal)
	}
	if diff := cmp.Diff(before.Grants[0].Parameters[1].Value, c.Grants[0].Parameters[1].Value); diff != "" || c.Endpoint.Path != "/${ACME_TENANT}/token" {
		t.Errorf("the contract itself has changed: %s", diff)
	}
	if len(b.References()) != 0 || len(c.References()) == 0 {
		t.Error("a bound contract has no references left")
	}
}

func TestBindLeavesOutWhatIsOptional(t *testing.T) {
	b, _, err := mustParse(t, acme).Bind(from(acmeEnv()), BindOptions{})
	if err != nil {
		t.Fatal(err)
	}
	want := []Absent{
		{Where: "clients.second", Variables: []string{"ACME_SECOND_ID", "ACME_SECOND_SECRET"}},
		{Where: "hooks.sig", Variables: []string{"ACME_SIG_HOOK"}},
		{Where: "grants.delegated", Variables: []string{"ACME_SECOND_ID", "ACME_SECOND_SECRET"}, Because: "clients.second"},
		{Where: "grants.signed", Variables: []string{"ACME_SIG_HOOK"}, Because: "hooks.sig"},
	}
	byWhere := func(a, b Absent) int { return strings.Compare(a.Where, b.Where) }
	slices.SortFunc(want, byWhere)
	slices.SortFunc(b.Absent, byWhere)
	if diff := cmp.Diff(want, b.Absent); diff != "" {
		t.Error(diff)
	}
	if len(b.Clients) != 0 || len(b.Grants) != 2 {
		t.Errorf("%d clients, %d grants", len(b.Clients), len(b.Grants))
	}
	env := acmeEnv()
	env["ACME_SECOND_ID"], env["ACME_SECOND_SECRET"], env["ACME_SIG_HOOK"] = "a", "b", "c"
	if b, _, err = mustParse(t, acme).Bind(from(env), BindOptions{}); err != nil || len(b.Absent) != 0 || len(b.Grants) != 4 {
		t.Errorf("%v %+v", err, b.Absent)
	}
	// A fixture takes over the redirect URI of the primary client.
	if b.Clients[0].RedirectURI != "https://app.acme.example/cb" {
		t.Error(b.Clients[0])
	}
}

func TestHookOfAGrantThatIsNotOptionalIsNeeded(t *testing.T) {
	for _, tt := range []struct{ file, hook string }{{"entra", "ENTRA_WORKLOAD_JWT_HOOK"}, {"shopify", "SHOPIFY_SESSION_TOKEN_HOOK"}} {
		c, err := Load(gallery + "/" + tt.file + ".yaml")
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = c.Bind(func(n string) (string, bool) { return "v", n != tt.hook }, BindOptions{})
		var missing *MissingError
		if !errors.As(err, &missing) || !slices.Equal(missing.Names(), []string{tt.hook}) {
			t.Errorf("%s: %v", tt.file, err)
		}
		for _, r := range c.References() {
			if r.Name == tt.hook && r.Optional != "" {
				t.Errorf("%s: optional as %q", r.Name, r.Optional)
			}
		}
	}
}

func TestBindWithoutAHook(t *testing.T) {
	c := mustParse(t, `contract: 1
name: acme
extends: base
endpoint: {base_url: "https://as.example", path: /t, parameters: {sig: {required: false, value: hook.sig}, v: {value: "1"}}}
client: {id: a, key_file: "${KEY}", auth: [jwt], assertion: {claims: {act: hook.act}}}
hooks: {sig: "${SIG}", act: "${ACT}"}
grants: {client_credentials: {}}
`)
	b, _, err := c.Bind(from(map[string]string{"KEY": "k", "ACT": "x"}), BindOptions{})
	if err != nil || len(b.Endpoint.Parameters) != 1 || b.Endpoint.Parameters[0].Name != "v" {
		t.Errorf("an optional parameter goes with its hook: %v %+v", err, b)
	}
	_, _, err = c.Bind(from(map[string]string{"KEY": "k", "SIG": "x"}), BindOptions{})
	var missing *MissingError
	if !errors.As(err, &missing) || !slices.Equal(missing.Names(), []string{"ACT"}) {
		t.Errorf("a claim needs its hook: %v", err)
	}
}

func TestBindNamesEveryMissingVariable(t *testing.T) {
	_, _, err := mustParse(t, acme).Bind(from(map[string]string{"ACME_TENANT": ""}), BindOptions{Enabled: []string{"refresh_token"}})
	var missing *MissingError
	if !errors.As(err, &missing) {
		t.Fatal(err)
	}
	want := []string{"ACME_BASE_URL", "ACME_TENANT", "ACME_CLIENT_ID", "ACME_CLIENT_SECRET", "ACME_SCOPE", "ACME_AUDIENCE", "ACME_REALM"}
	got := missing.Names()
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	text := err.Error()
	for _, s := range []string{
		"contract acme needs 7 variables that are unset:", "ACME_BASE_URL       endpoint.base_url (acme.yaml:4), revocation.url (acme.yaml:5)",
		"unset too, but a run can do without:\n  ACME_SIG_HOOK ACME_SECOND_ID ACME_SECOND_SECRET",
	} {
		if !strings.Contains(text, s) {
			t.Errorf("lacks %q:\n%s", s, text)
		}
	}
}

func TestBindWithAnotherAddress(t *testing.T) {
	for name, tt := range map[string]struct {
		url, tenant, revoke string
	}{
		"same path":  {"http://127.0.0.1:9/x/t1/token", "t1", "http://127.0.0.1:9/x/revoke"},
		"other path": {"http://127.0.0.1:9/oauth", "t1", "http://127.0.0.1:9/revoke"},
		"no path":    {"http://127.0.0.1:9/oauth", "", "http://127.0.0.1:9/revoke"},
	} {
		env := acmeEnv()
		delete(env, "ACME_BASE_URL")
		env["ACME_TENANT"] = tt.tenant
		b, _, err := mustParse(t, acme).Bind(from(env), BindOptions{URL: tt.url})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if b.Revocation.URL != tt.revoke || tt.tenant == "" && b.Endpoint.Path != "" {
			t.Errorf("%s: %s %s", name, b.Revocation.URL, b.Endpoint.Path)
		}
	}
}

func TestStandardNeedsAddressAndClientOnly(t *testing.T) {
	c, err := Shipped("standard")
	if err != nil {
		t.Fatal(err)
	}
	env := map[string]string{"GRANTCHECK_CLIENT_ID": "me", "GRANTCHECK_CLIENT_SECRET": "s3cret"}
	b, _, err := c.Bind(from(env), BindOptions{URL: "http://127.0.0.1:9/token"})
	if err != nil {
		t.Fatal(err)
	}
	var grants []string
	for _, g := range b.Grants {
		grants = append(grants, g.Key)
	}
	if want := []string{"client_credentials", "authorization_code", "refresh_token"}; !slices.Equal(grants, want) {
		t.Errorf("%q", grants)
	}
	if !slices.Equal(b.Client.Auth, []string{"basic", "post"}) || len(b.Clients) != 0 || b.User != nil || b.Metadata != nil || b.Login != nil || len(b.Scopes.Request) != 0 {
		t.Errorf("%+v", b)
	}
	delete(env, "GRANTCHECK_CLIENT_SECRET")
	b, _, err = c.Bind(from(env), BindOptions{URL: "http://127.0.0.1:9/token"})
	if err != nil || !slices.Equal(b.Client.Auth, []string{"none"}) || !b.Client.Public() {
		t.Errorf("without a secret the client is public: %v %+v", err, b.Client)
	}
	for _, r := range c.References() {
		env[r.Name] = "v"
	}
	b, _, err = c.Bind(from(env), BindOptions{})
	if err != nil || len(b.Absent) != 0 || len(b.Grants) != 5 || len(b.Clients) != 7 || len(b.Users) != 2 || b.Resource.Scoped.Needs != "v" || len(b.Client.Auth) != 3 {
		t.Errorf("%v %+v", err, b)
	}
}

func TestBindOfEveryContractWithEverything(t *testing.T) {
	for _, name := range append(galleryFiles(t), ShippedNames()...) {
		c, err := Open(name)
		if err != nil {
			t.Fatal(err)
		}
		b, _, err := c.Bind(func(string) (string, bool) { return "value", true }, BindOptions{})
		if err != nil || len(b.Absent) != 0 {
			t.Errorf("%s: %v %v", name, err, b)
			continue
		}
		for _, r := range c.References() {
			if strings.Contains(b.Client.ID+b.Client.Secret+b.Endpoint.BaseURL+b.Endpoint.Path, "${"+r.Name+"}") {
				t.Errorf("%s: %s is left", name, r.Name)
			}
		}
	}
}

func TestBaseCannotBeBound(t *testing.T) {
	c, err := shippedWith("base", Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.Bind(from(nil), BindOptions{}); err == nil || !strings.Contains(err.Error(), "base") {
		t.Error(err)
	}
}

func TestLiteralSecretsOnLoopbackOnly(t *testing.T) {
	const text = "contract: 1\nname: acme\nextends: base\nendpoint: {base_url: \"${BASE}\", path: /t}\nclient: {id: a, secret: hunter2, auth: [post]}\ngrants: {client_credentials: {}}\n"
	if _, err := Parse("acme.yaml", []byte(text), "", Options{}); err == nil {
		t.Error("a literal secret needs the option")
	}
	c, err := Parse("acme.yaml", []byte(text), "", Options{LiteralSecrets: true})
	if err != nil {
		t.Fatal(err)
	}
	for base, ok := range map[string]bool{"http://127.0.0.1:1": true, "http://[::1]:1": true, "http://localhost": true, "https://as.example": false, "http://127.0.0.1.as.example": false} {
		if _, _, err := c.Bind(from(map[string]string{"BASE": base}), BindOptions{}); (err == nil) != ok {
			t.Errorf("%s: %v", base, err)
		}
	}
}

func TestEnvFile(t *testing.T) {
	f, err := ParseEnvFile("x.env", []byte("\ufeff# c\r\nA=1\r\nexport B = no\n"))
	if err == nil || !strings.Contains(err.Error(), "x.env:3:") {
		t.Errorf("%v %v", f, err)
	}
	f, err = ParseEnvFile("x.env", []byte(`
A=plain value # comment
export B='single $ \n "x"' # c
C="double \" \\ \$ \n é"
D=
E=a#b=c
`))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"A": "plain value", "B": `single $ \n "x"`, "C": "double \" \\ $ \n é", "D": "", "E": "a#b=c"}
	if diff := cmp.Diff(want, f.Values); diff != "" {
		t.Error(diff)
	}
	for text, want := range map[string]string{
		"A":                "e:1: expected NAME=VALUE",
		"A-B=hunter2":      "e:1: expected NAME=VALUE",
		"A='hunter2":       "e:1: A: the closing quote is missing",
		`A="hunter2" x`:    "e:1: A: text after the closing quote",
		"A=1\n\nA=hunter2": "e:3: A stands on line 1 already",
	} {
		_, err := ParseEnvFile("e", []byte(text))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestCredentialsComeFromOnePlace(t *testing.T) {
	c := mustParse(t, acme)
	file := func(v map[string]string) *EnvFile { return &EnvFile{Name: "x.env", Values: v} }
	for name, tt := range map[string]struct {
		env, file map[string]string
		bad       string
	}{
		"all in the environment":  {env: map[string]string{"ACME_CLIENT_ID": "a", "ACME_CLIENT_SECRET": "b"}, file: map[string]string{"ACME_CLIENT_SECRET": "c"}},
		"all in the file":         {file: map[string]string{"ACME_CLIENT_ID": "a", "ACME_CLIENT_SECRET": "b"}},
		"different fixtures":      {env: map[string]string{"ACME_CLIENT_ID": "a", "ACME_CLIENT_SECRET": "b"}, file: map[string]string{"ACME_SECOND_ID": "c", "ACME_SECOND_SECRET": "d"}},
		"the same value twice":    {env: map[string]string{"ACME_CLIENT_ID": "a"}, file: map[string]string{"ACME_CLIENT_ID": "a", "ACME_CLIENT_SECRET": "b"}},
		"address and credentials": {env: map[string]string{"ACME_BASE_URL": "x"}, file: map[string]string{"ACME_CLIENT_ID": "a", "ACME_CLIENT_SECRET": "b"}},
		"an id from elsewhere": {
			env: map[string]string{"ACME_CLIENT_ID": "other"}, file: map[string]string{"ACME_CLIENT_ID": "a", "ACME_CLIENT_SECRET": "hunter2"},
			bad: "client: ACME_CLIENT_ID comes from the environment and ACME_CLIENT_SECRET from x.env",
		},
		"a secret from elsewhere": {
			env: map[string]string{"ACME_SECOND_SECRET": "hunter2"}, file: map[string]string{"ACME_SECOND_ID": "a"},
			bad: "clients.second: ACME_SECOND_SECRET comes from the environment",
		},
	} {
		lookup, err := c.Environment(from(tt.env), file(tt.file))
		if (err != nil) != (tt.bad != "") || err != nil && (!strings.Contains(err.Error(), tt.bad) || strings.Contains(err.Error(), "hunter2")) {
			t.Errorf("%s: %v", name, err)
		}
		for n, v := range tt.file {
			if w, ok := tt.env[n]; ok {
				v = w
			}
			if got, _ := lookup(n); got != v && err == nil {
				t.Errorf("%s: %s = %q", name, n, got)
			}
		}
	}
}
