package exchange

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"grantcheck/suites/contract"
)

func header(w Wire, name string) string {
	var lines []string
	for _, h := range w.Headers {
		if strings.EqualFold(h.Name, name) {
			lines = append(lines, h.Value)
		}
	}
	return strings.Join(lines, " | ")
}

const allGrants = head + `
scopes: {request: [read, write]}
grants: {client_credentials: {}, password: {}, refresh_token: {}, jwt_bearer: {assertion: {alg: HS256}}, authorization_code: {code: "${SECRET}"}}
`

func TestGoldenRequestIsTheDocumentedOne(t *testing.T) {
	target := bind(t, allGrants, Options{})
	encoded := "s3cr3t%2B%2F%25%20%C3%BC%26%3D"
	for _, c := range []struct {
		grant, auth string
		in          Inputs
		body        string
	}{
		{"client_credentials", "", Inputs{}, "grant_type=client_credentials&scope=read%20write&client_id=my-client&client_secret=" + encoded},
		{"client_credentials", "basic", Inputs{}, "grant_type=client_credentials&scope=read%20write"},
		{"client_credentials", "none", Inputs{Scope: []string{}}, "grant_type=client_credentials&client_id=my-client"},
		{"password", "basic", Inputs{}, "grant_type=password&username=alice&password=wonder%22land%27%3C%26%3E%5C&scope=read%20write"},
		{"refresh_token", "basic", Inputs{RefreshToken: "r+t"}, "grant_type=refresh_token&refresh_token=r%2Bt"},
		{"authorization_code", "basic", Inputs{Code: "c", CodeVerifier: "v~"}, "grant_type=authorization_code&code=c&redirect_uri=http%3A%2F%2F127.0.0.1%3A9999%2Fcb&code_verifier=v~"},
		{"jwt_bearer", "basic", Inputs{Assertion: "a.b.c"}, "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=a.b.c&scope=read%20write"},
	} {
		w := golden(t, target, c.grant, c.auth, c.in).Wire()
		if string(w.Body) != c.body {
			t.Errorf("%s %s:\n got %s\nwant %s", c.grant, c.auth, w.Body, c.body)
		}
		if w.Method != "POST" || w.URL != "http://127.0.0.1:1/token" || header(w, "Content-Type") != FormType || header(w, "Accept") != "application/json" {
			t.Errorf("%s: %s %s %v", c.grant, w.Method, w.URL, w.Headers)
		}
		wantAuth := ""
		if c.auth == "basic" {
			wantAuth = "Basic " + base64.StdEncoding.EncodeToString([]byte("my-client:"+encoded))
		}
		if got := header(w, "Authorization"); got != wantAuth {
			t.Errorf("%s: Authorization %q, want %q", c.grant, got, wantAuth)
		}
	}
}

func TestRequestNamesWhatItLacks(t *testing.T) {
	target := bind(t, allGrants, Options{})
	g, _ := target.Contract.Grant("authorization_code")
	_, err := target.Request(g, "", Inputs{})
	var need *NeedError
	if !errors.As(err, &need) || need.Source != "code" {
		t.Errorf("got %v, want a NeedError for code", err)
	}
}

func TestDialects(t *testing.T) {
	for _, c := range []struct {
		name, text, grant, auth string
		in                      Inputs
		url, body, headers      string
	}{
		{
			name: "vendor names and a query", text: `
grants:
  client_credentials:
    parameters:
      client_key: {required: true, value: client.id}
      secret_word: {in: query, required: true, value: client.secret}
      grant_type: {in: query, required: true, const: client_credentials}
      scope: {list: comma}
scopes: {request: [a, b]}`, grant: "client_credentials", auth: "post",
			url: "/token?grant_type=client_credentials&secret_word=s3cr3t%2B%2F%25%20%C3%BC%26%3D", body: "client_key=my-client&scope=a%2Cb",
		},
		{
			name: "JSON with types, lists and headers", text: `
endpoint:
  base_url: ${BASE_URL}
  path: /token
  content_type: application/json
  parameters: {Accept-Version: {in: header, const: "7"}, Accept: {in: header, value: text/plain}}
grants:
  client_credentials:
    parameters:
      grant_type: {const: client_credentials}
      ttl: {type: integer, const: 60}
      deep: {type: boolean, value: true}
      resource: {value: [x, y]}
      client_id: {}
      client_secret: {}`, grant: "client_credentials", auth: "post", url: "/token",
			body:    `{"grant_type":"client_credentials","ttl":60,"deep":true,"resource":["x","y"],"client_id":"my-client","client_secret":"s3cr3t+/% ü&="}`,
			headers: "7",
		},
		{
			name: "a secret without an id", text: `
grants: {refresh_token: {parameters: {grant_type: {const: refresh_token}, client_secret: {required: true}, refresh_token: {required: true}}}}`,
			grant: "refresh_token", auth: "post", in: Inputs{RefreshToken: "r"}, url: "/token", body: "grant_type=refresh_token&client_secret=s3cr3t%2B%2F%25%20%C3%BC%26%3D&refresh_token=r",
		},
		{
			name: "GET", text: `
endpoint: {base_url: "${BASE_URL}", path: /v1/token, method: GET}
grants: {authorization_code: {code: "${SECRET}", parameters: {client_id: {required: true}, client_secret: {required: true}, code: {required: true}}}}`,
			grant: "authorization_code", auth: "post", in: Inputs{Code: "c"}, url: "/v1/token?client_id=my-client&client_secret=s3cr3t%2B%2F%25%20%C3%BC%26%3D&code=c",
		},
		{name: "conditions", text: `
grants:
  refresh_token:
    parameters:
      refresh_token: {required: true}
      client_id: {required: {client: public}}
      flag: {value: "1", only_when: {auth: post}}
      other: {value: "2", only_when: {parameter: {mode: x}}}
      mode: {value: x}`, grant: "refresh_token", auth: "basic", in: Inputs{RefreshToken: "r"}, url: "/token", body: "refresh_token=r&other=2&mode=x"},
		{
			name: "an endpoint of the grant's own", text: `
grants:
  client_credentials: {endpoint: {path: /app/token}, auth: [none], parameters: {client_id: {required: true}}}`,
			grant: "client_credentials", url: "/app/token", body: "client_id=my-client",
		},
		{
			name: "a list in a form", text: `
grants: {client_credentials: {parameters: {grant_type: {const: client_credentials}, resource: {value: [x, y]}}}}`,
			grant: "client_credentials", auth: "basic", url: "/token", body: "grant_type=client_credentials&resource=x&resource=y",
		},
	} {
		target := bind(t, head+c.text, Options{})
		w := golden(t, target, c.grant, c.auth, c.in).Wire()
		if want := "http://127.0.0.1:1" + c.url; w.URL != want {
			t.Errorf("%s: URL\n got %s\nwant %s", c.name, w.URL, want)
		}
		if string(w.Body) != c.body {
			t.Errorf("%s: body\n got %s\nwant %s", c.name, w.Body, c.body)
		}
		if got := header(w, "Accept-Version"); got != c.headers {
			t.Errorf("%s: Accept-Version %q", c.name, got)
		}
		if c.headers != "" && header(w, "Accept") != "text/plain" {
			t.Errorf("%s: Accept %q", c.name, header(w, "Accept"))
		}
	}
}

// Each probe differs from the golden request in one point, and leaves the golden request as it is.
func TestProbesChangeOnePoint(t *testing.T) {
	target := bind(t, head+`
scopes: {request: [read]}
grants:
  client_credentials:
    parameters: {grant_type: {const: client_credentials}, client_key: {value: client.id}, client_secret: {}, scope: {}}
`, Options{})
	base := golden(t, target, "client_credentials", "post", Inputs{})
	const secret = "s3cr3t%2B%2F%25%20%C3%BC%26%3D"
	before := string(base.Wire().Body)
	for name, c := range map[string]struct {
		got  Request
		body string
	}{
		"set":              {base.Set("scope", "a b"), "grant_type=client_credentials&client_key=my-client&client_secret=" + secret + "&scope=a%20b"},
		"set by part":      {base.Set("client_id", "x"), "grant_type=client_credentials&client_key=x&client_secret=" + secret + "&scope=read"},
		"raw":              {base.SetRaw("grant_type", "%ZZ"), "grant_type=%ZZ&client_key=my-client&client_secret=" + secret + "&scope=read"},
		"raw appended":     {base.AddRaw("%FF", "+"), before + "&%FF=+"},
		"plus":             {base.SetRaw("scope", FormEncodePlus("a b")), "grant_type=client_credentials&client_key=my-client&client_secret=" + secret + "&scope=a+b"},
		"needless percent": {base.RenameRaw("grant_type", "grant%5Ftype").SetRaw("grant_type", "client%5Fcredentials"), "grant%5Ftype=client%5Fcredentials&client_key=my-client&client_secret=" + secret + "&scope=read"},
		"twice, before":    {base.Before("grant_type", "x"), "grant_type=x&" + before},
		"twice, after":     {base.After("grant_type", "x"), strings.Replace(before, "&client_key", "&grant_type=x&client_key", 1)},
		"twice, by part":   {base.After("client_id", "x"), strings.Replace(before, "&client_secret", "&client_key=x&client_secret", 1)},
		"dropped":          {base.Drop("client_secret", "scope"), "grant_type=client_credentials&client_key=my-client"},
		"renamed":          {base.Rename("grant_type", "grant_type[]"), strings.Replace(before, "grant_type", "grant_type%5B%5D", 1)},
		"reversed":         {base.Reverse(), "scope=read&client_secret=" + secret + "&client_key=my-client&grant_type=client_credentials"},
		"secret":           {base.Secret("no"), "grant_type=client_credentials&client_key=my-client&client_secret=no&scope=read"},
		"id only":          {base.NoSecret(), "grant_type=client_credentials&client_key=my-client&scope=read"},
		"anonymous":        {base.NoAuth(), "grant_type=client_credentials&scope=read"},
		"basic":            {base.Auth("basic"), "grant_type=client_credentials&scope=read"},
		"post again":       {base.Auth("basic").Auth("post"), "grant_type=client_credentials&scope=read&client_key=my-client&client_secret=" + secret},
		"suffix":           {base.AppendBody("&grantcheck=%"), before + "&grantcheck=%"},
		"empty":            {base.DropAll(), ""},
		"raw body":         {base.RawBody([]byte("\x00\xff")), "\x00\xff"},
		"set drops others": {base.After("scope", "x").Set("scope", "y"), strings.Replace(before, "read", "y", 1)},
	} {
		if got := string(c.got.Wire().Body); got != c.body {
			t.Errorf("%s:\n got %q\nwant %q", name, got, c.body)
		}
	}
	if got := string(base.Wire().Body); got != before {
		t.Errorf("the golden request changed: %s", got)
	}

	q := base.MoveTo(InQuery, base.GrantParts()...).Wire()
	if q.URL != "http://127.0.0.1:1/token?grant_type=client_credentials&scope=read" || string(q.Body) != "client_key=my-client&client_secret="+secret {
		t.Errorf("grant in query: %s %s", q.URL, q.Body)
	}
	q = base.MoveTo(InQuery, CredentialParts...).Wire()
	if q.URL != "http://127.0.0.1:1/token?client_key=my-client&client_secret="+secret || string(q.Body) != "grant_type=client_credentials&scope=read" {
		t.Errorf("credentials in query: %s %s", q.URL, q.Body)
	}
	q = base.WithMethod("GET").MoveTo(InQuery).Wire()
	if q.URL != "http://127.0.0.1:1/token?"+before || len(q.Body) != 0 || header(q, "Content-Type") != "" {
		t.Errorf("GET: %s %q %v", q.URL, q.Body, q.Headers)
	}
	if n := strings.Count(string(base.AddMany(5000, "p", "1").Wire().Body), "&"); n != 5003 {
		t.Errorf("%d parameters", n)
	}
}

func TestAuthorizationField(t *testing.T) {
	target := bind(t, allGrants, Options{})
	base := golden(t, target, "client_credentials", "basic", Inputs{})
	b64 := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	const secret = "s3cr3t%2B%2F%25%20%C3%BC%26%3D"
	for want, r := range map[string]Request{
		"basic " + b64("my-client:"+secret):       base.Scheme("basic"),
		"Basic " + b64("my-client:s3cr3t+/% ü&="): base.BasicEncoded(false),
		"Basic " + b64("my-client:no"):            base.Secret("no"),
		"Basic " + b64("x%3Ay:"+secret):           base.ClientID("x:y"),
		"Basic %%%":                               base.BasicRaw("%%%"),
		"Basic":                                   base.BasicRaw(""),
		"Basic " + b64("nocolon"):                 base.BasicText("nocolon"),
		"GrantCheck abc":                          base.Authorization("GrantCheck abc"),
		"Basic eDp5 | Basic eDp6":                 base.Authorization(Basic("x", "y"), Basic("x", "z")),
		"":                                        base.NoAuth(),
		"Bearer t":                                base.Bearer("t"),
	} {
		if got := header(r.Wire(), "Authorization"); got != want {
			t.Errorf("Authorization %q, want %q", got, want)
		}
		if got, want := string(r.Wire().Body), string(base.Wire().Body); got != want {
			t.Errorf("the body changed: %s", got)
		}
	}
	if id, s := base.Credentials(); id != "my-client" || s != env["SECRET"] {
		t.Errorf("credentials %q %q", id, s)
	}
}

func TestContentType(t *testing.T) {
	target := bind(t, allGrants, Options{})
	base := golden(t, target, "client_credentials", "post", Inputs{})
	for want, r := range map[string]Request{
		FormType + "; charset=UTF-8":        base.WithContentType(FormType + "; charset=UTF-8"),
		"Application/X-WWW-Form-URLEncoded": base.WithContentType("Application/X-WWW-Form-URLEncoded"),
		"":                                  base.NoContentType(),
		"text/plain":                        base.Header("Content-Type", "text/plain").WithContentType("text/plain"),
		JSONType:                            base.AsJSON(),
	} {
		if got := header(r.Wire(), "Content-Type"); !strings.HasPrefix(got, want) || want == "" && got != "" {
			t.Errorf("Content-Type %q, want %q", got, want)
		}
	}
	w := base.AsMultipart().Wire()
	_, boundary, ok := strings.Cut(header(w, "Content-Type"), "multipart/form-data; boundary=")
	if !ok || strings.Count(string(w.Body), "--"+boundary) != 5 || !strings.Contains(string(w.Body), env["SECRET"]) {
		t.Errorf("multipart: %q %s", header(w, "Content-Type"), w.Body)
	}
	if got := string(base.AsJSON().Wire().Body); got != `{"grant_type":"client_credentials","scope":"read write","client_id":"my-client","client_secret":"s3cr3t+/% ü&="}` {
		t.Errorf("JSON: %s", got)
	}
	if got := header(base.DropHeader("Accept").Wire(), "Accept"); got != "" {
		t.Errorf("Accept %q", got)
	}
}

func TestHooksMakeValues(t *testing.T) {
	target := bind(t, head+`
hooks: {session: "${SECRET}"}
grants: {client_credentials: {parameters: {grant_type: {const: client_credentials}, subject: {required: true, value: hook.session}}}}
`, Options{})
	var asked string
	r := golden(t, target, "client_credentials", "basic", Inputs{Hook: func(name string, request []byte) (string, error) {
		asked = name + string(request)
		return "made-value", nil
	}})
	if got := string(r.Wire().Body); got != "grant_type=client_credentials&subject=made-value" {
		t.Errorf("body %s", got)
	}
	if !strings.HasPrefix(asked, "session{") || !strings.Contains(asked, `"grant_type":"client_credentials"`) {
		t.Errorf("asked %s", asked)
	}
	if got := target.Redactor.Redact("x made-value x"); strings.Contains(got, "made-value") {
		t.Errorf("the hook's value is shown: %s", got)
	}
}

func TestAddresses(t *testing.T) {
	text := head + `
endpoint: {base_url: "https://acme.example/auth", path: /oauth/token}
authorization_endpoint: {path: /oauth/authorize, pkce: required}
metadata: {issuer: "https://acme.example/auth"}
revocation: {url: "https://acme.example/auth/revoke"}
introspection: {url: "https://elsewhere.example/introspect"}
resource: {url: "https://acme.example/api/me"}
grants: {client_credentials: {}}
`
	c, err := contract.Parse("acme.yaml", []byte(text), "", contract.Options{})
	if err != nil {
		t.Fatal(err)
	}
	lookup := func(n string) (string, bool) { v, ok := env[n]; return v, ok }
	b, _, err := c.Bind(lookup, contract.BindOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []struct{ url, authorize, revoke, introspect, resource, metadata string }{
		{
			"", "https://acme.example/auth/oauth/authorize", "https://acme.example/auth/revoke", "https://elsewhere.example/introspect", "https://acme.example/api/me",
			"https://acme.example/.well-known/oauth-authorization-server/auth",
		},
		{
			"http://127.0.0.1:8/x/oauth/token", "http://127.0.0.1:8/x/oauth/authorize", "http://127.0.0.1:8/x/revoke", "https://elsewhere.example/introspect", "http://127.0.0.1:8/api/me",
			"http://127.0.0.1:8/.well-known/oauth-authorization-server/x",
		},
		{
			"http://127.0.0.1:8/tok", "http://127.0.0.1:8/oauth/authorize", "http://127.0.0.1:8/revoke", "https://elsewhere.example/introspect", "http://127.0.0.1:8/api/me",
			"http://127.0.0.1:8/.well-known/oauth-authorization-server",
		},
	} {
		target, err := NewTarget(b, Options{URL: v.url})
		if err != nil {
			t.Fatal(err)
		}
		for _, pair := range [][2]string{
			{target.AuthorizationURL(), v.authorize},
			{target.RevocationURL(), v.revoke},
			{target.IntrospectionURL(), v.introspect},
			{target.ResourceURL(), v.resource},
			{target.MetadataURLs()[0], v.metadata},
		} {
			if pair[0] != pair[1] {
				t.Errorf("--url %q: got %s, want %s", v.url, pair[0], pair[1])
			}
		}
	}
	if _, err := NewTarget(b, Options{URL: "http://acme.example/token"}); err == nil || !strings.Contains(err.Error(), "--insecure-http") {
		t.Errorf("plain http beyond loopback: %v", err)
	}
	if _, err := NewTarget(b, Options{URL: "acme.example/token"}); err == nil {
		t.Error("a relative address was taken")
	}
}

func TestRandomLike(t *testing.T) {
	target := bind(t, allGrants, Options{})
	for _, secret := range []string{"Ab3-x", "0", "ü", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"} {
		for range 50 {
			got := target.RandomLike(secret)
			if got == secret || len(got) != len(secret) {
				t.Errorf("%q for %q", got, secret)
			}
			for i := range len(secret) {
				kind := func(c byte) string {
					switch {
					case c >= 'a' && c <= 'z':
						return "lower"
					case c >= 'A' && c <= 'Z':
						return "upper"
					case c >= '0' && c <= '9':
						return "digit"
					}
					return ""
				}
				if k := kind(secret[i]); k != "" && k != kind(got[i]) {
					t.Errorf("%q for %q", got, secret)
				}
			}
			if target.Redactor.Redact("x "+got) != "x "+got {
				t.Errorf("%q is masked", got)
			}
		}
	}
}
