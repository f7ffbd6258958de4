package contract

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestTemplatesLintClean(t *testing.T) {
	for _, a := range []Answers{
		{Name: "acme"},
		{Name: "3 Musketeers: \"API\"", Title: "x # y: ${Z}", Page: "https://docs.example/a b", Auth: []string{"client_secret_post"}, Scopes: []string{"a:b", "*", "${x}"[:1]}},
		{Name: "acme", URL: "https://as.example/token?tenant=1", Grants: standardGrants, Auth: []string{"basic", "post", "jwt"}, PKCE: true},
		{Name: "acme", Grants: []string{"implicit", GrantJWTBearer}, Auth: []string{"client_secret_jwt"}, Alg: "HS512"},
		{Name: "acme", Grants: []string{"authorization_code", "refresh_token"}, Auth: []string{"none"}},
		{
			Name: "acme", Grants: []string{"account_credentials"}, Issuer: "https://as.example", JWKS: "https://as.example/keys",
			RevocationURL: "https://as.example/revoke", IntrospectionURL: "https://as.example/introspect", UserInfoURL: "https://as.example/me",
		},
	} {
		text, err := Template(a)
		if err != nil {
			t.Errorf("%+v: %v", a, err)
			continue
		}
		c, problems := load("new.yaml", text, "", strict)
		for _, p := range problems {
			t.Errorf("%s\n%s\n%s", p, p.Excerpt, text)
		}
		if c == nil {
			continue
		}
		if c.Client.ID == "" || len(c.Grants) == 0 {
			t.Errorf("%s: no client or no grant", text)
		}
	}
}

// What a template shows in comments is right once the comment sign is gone.
func TestTemplateCommentsAreExamples(t *testing.T) {
	text, err := Template(Answers{Name: "acme"})
	if err != nil {
		t.Fatal(err)
	}
	used := regexp.MustCompile(`(?m)^( *)# ( *(?:page|content_type|clients|second|errors|- \{|error_fields|error|rate_limit|waivers|response|status|fields|access_token|token_type|expires_in):?)`).
		ReplaceAllString(strings.Replace(string(text), "client_credentials: {}", "client_credentials:", 1), "$1$2")
	c, problems := load("acme.yaml", []byte(used), "", strict)
	if len(problems) > 0 {
		t.Fatalf("%v\n%s", problems, used)
	}
	if len(c.Clients) != 1 || len(c.Errors) != 1 || len(c.ErrorFields) != 1 || len(c.RateLimits) != 1 || len(c.Waivers) != 1 || len(c.Grants[0].Response.Fields) != 3 ||
		c.Endpoint.ContentType[0] != "application/json" || len(c.Page) != 1 {
		t.Errorf("not all of it is in use:\n%s", used)
	}
}

func TestTemplateRefuses(t *testing.T) {
	for name, a := range map[string]Answers{
		"no name":       {Name: "¿?"},
		"relative":      {Name: "a", URL: "/token"},
		"misspelt":      {Name: "a", Grants: []string{"client_credential"}},
		"no such auth":  {Name: "a", Auth: []string{"client_secret_psot"}},
		"secret in URL": {Name: "a", URL: "https://u:p@as.example/token"},
	} {
		if text, err := Template(a); err == nil {
			t.Errorf("%s: accepted\n%s", name, text)
		}
	}
}

func TestAnswersFromMetadata(t *testing.T) {
	a, err := AnswersFromMetadata([]byte(`{"issuer":"https://login.acme.example/t1","token_endpoint":"https://login.acme.example/t1/token",
		"authorization_endpoint":"https://login.acme.example/t1/authorize","jwks_uri":"https://login.acme.example/t1/jwks",
		"revocation_endpoint":"https://login.acme.example/t1/revoke","grant_types_supported":["authorization_code","implicit","refresh_token","urn:ietf:params:oauth:grant-type:device_code"],
		"token_endpoint_auth_methods_supported":["private_key_jwt","client_secret_basic","self_signed_tls_client_auth","none","odd_one"],
		"token_endpoint_auth_signing_alg_values_supported":["HS256","ES256"],"code_challenge_methods_supported":["S256"],"x":1}`))
	if err != nil {
		t.Fatal(err)
	}
	text, err := Template(a)
	if err != nil {
		t.Fatal(err)
	}
	c, problems := load("new.yaml", text, "", strict)
	if len(problems) > 0 {
		t.Fatalf("%v\n%s", problems, text)
	}
	if c.Name != "login-acme-example" || c.Endpoint.Path != "/t1/token" || c.Metadata.Issuer != "https://login.acme.example/t1" ||
		c.AuthorizationEndpoint.PKCE != "optional" || !slices.Equal(c.Client.Auth, []string{"jwt", "basic"}) || c.Client.Assertion.Alg != "ES256" || len(c.Grants) != 3 {
		t.Errorf("%s", text)
	}
	for _, bad := range []string{"", "[]", `{"issuer":"https://x"}`} {
		if _, err := AnswersFromMetadata([]byte(bad)); err == nil {
			t.Errorf("%q accepted", bad)
		}
	}
}

func TestAnswersFromOpenAPI(t *testing.T) {
	for name, doc := range map[string]string{
		"openapi 3": `
openapi: 3.0.3
info: {title: Acme Pay, version: "1"}
servers: [{url: "https://api.acme.example/v2/"}]
components:
  securitySchemes:
    key: {type: apiKey, name: k, in: header}
    oauth:
      type: oauth2
      flows:
        clientCredentials: {tokenUrl: ../oauth/token, scopes: {"pay:read": read, "pay:write": write}}
        authorizationCode: {tokenUrl: /oauth/token, authorizationUrl: /oauth/authorize, refreshUrl: /oauth/token, scopes: {}}
`,
		"swagger 2": `{"swagger":"2.0","info":{"title":"Acme Pay"},"host":"api.acme.example","securityDefinitions":{
			"a":{"type":"oauth2","flow":"application","tokenUrl":"https://api.acme.example/oauth/token","scopes":{"pay:read":"x","pay:write":"y"}},
			"b":{"type":"oauth2","flow":"accessCode","tokenUrl":"https://api.acme.example/oauth/token","authorizationUrl":"https://api.acme.example/oauth/authorize","scopes":{}}}}`,
	} {
		a, err := AnswersFromOpenAPI([]byte(doc))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		text, err := Template(a)
		if err != nil {
			t.Fatal(err)
		}
		c, problems := load("new.yaml", text, "", strict)
		if len(problems) > 0 {
			t.Fatalf("%v\n%s", problems, text)
		}
		if c.Name != "acme-pay" || c.Endpoint.BaseURL != "https://api.acme.example" || c.Endpoint.Path != "/oauth/token" ||
			c.AuthorizationEndpoint.URL != "https://api.acme.example/oauth/authorize" || !slices.Equal(c.Scopes.Request, []string{"pay:read", "pay:write"}) {
			t.Errorf("%s:\n%s", name, text)
		}
	}
	if _, err := AnswersFromOpenAPI([]byte("openapi: 3.0.0\n")); err == nil || !strings.Contains(err.Error(), "securitySchemes") {
		t.Error(err)
	}
}
