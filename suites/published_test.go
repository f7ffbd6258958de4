package suites

import (
	"fmt"
	"testing"

	"grantcheck/suites/exchange"
)

func TestSameAddress(t *testing.T) {
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"https://as.example/token", "https://as.example/token", true},
		{"HTTPS://AS.Example:443/token", "https://as.example/token", true},
		{"https://as.example/a/../token", "https://as.example/token", true},
		{"https://as.example/%74oken", "https://as.example/token", true},
		{"https://as.example", "https://as.example/", true},
		{"https://as.example/token#x", "https://as.example/token", true}, // judged elsewhere
		{"http://as.example/token", "https://as.example/token", false},
		{"https://as.example/token/", "https://as.example/token", false},
		{"https://as.example/Token", "https://as.example/token", false},
		{"https://as.example:8443/token", "https://as.example/token", false},
		{"https://as.example/token?p=1", "https://as.example/token?p=2", false},
	} {
		if got := sameAddress(c.a, c.b); got != c.same {
			t.Errorf("%s and %s: %v", c.a, c.b, got)
		}
	}
}

func TestNearMiss(t *testing.T) {
	for name, want := range map[string]string{
		"code_challenge_method_supported": "code_challenge_methods_supported",
		"tokenEndpoint":                   "token_endpoint",
		"Issuer":                          "issuer",
		"jwks_url":                        "jwks_uri",
		"scopes_supported":                "",
		"x_region":                        "",
		"tenant_region_scope":             "",
		"cloud_instance_name":             "",
		"kerberos_endpoint":               "",
		"http_logout_supported":           "",
	} {
		if got := nearMiss(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func TestKeySets(t *testing.T) {
	const rsa, ec = `"kty":"RSA","n":"AQAB","e":"AQAB"`, `"kty":"EC","crv":"P-256","x":"AA","y":"BB"`
	for _, c := range []struct{ keys, malformed, shared string }{
		{`{` + rsa + `,"kid":"a"},{` + rsa + `,"kid":"b"}`, "", ""},
		{`{` + rsa + `,"kid":"a"},{` + ec + `,"kid":"a"}`, "", ""},                                                         // for different types
		{`{` + rsa + `,"kid":"a","alg":"RS256"},{` + rsa + `,"kid":"a","alg":"PS256"}`, "", ""},                            // one key twice
		{`{` + rsa + `},{` + ec + `},{"kty":"new","k":1}`, "", ""},                                                         // no kid at all; a type of tomorrow
		{`{` + rsa + `,"kid":"a"},{"kty":"RSA","n":"AQAC","e":"AQAB","kid":"a"}`, "", `keys number 1 and 2 share kid "a"`}, // two keys
		{`{"n":"AQAB","e":"AQAB"}`, "has no kty", ""},
		{`{"kty":"RSA","e":"AQAB"}`, "has no n", ""},
		{`{"kty":"EC","crv":"P-256","x":"AA"}`, "has no y", ""},
		{`{` + ec + `,"kid":7}`, "has a kid that is no string", ""},
		{`"key"`, "is no object", ""},
	} {
		keys := exchange.ParseStrict(fmt.Appendf(nil, "[%s]", c.keys)).Items
		malformed := ""
		for _, k := range keys {
			if m := malformedKey(k); m != "" {
				malformed = m
			}
		}
		if shared := indistinct(keys); malformed != c.malformed || shared != c.shared {
			t.Errorf("%s: %q %q", c.keys, malformed, shared)
		}
	}
	if bits := keyBits(exchange.ParseStrict([]byte(`{"n":"AIAB"}`)).Value); bits != 16 { // a leading zero octet counts for nothing
		t.Errorf("%d bits", bits)
	}
}

func TestForge(t *testing.T) {
	const token = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhIiwiZXhwIjoxMDAsImNuZiI6eyJqa3QiOiJ4In19.c2ln"
	raised, unsigned, ok := forge(token)
	_, claims, _ := jwtOf(raised)
	if exp, _ := claims.Get("exp").Integer(); !ok || exp != 100+86400 || claims.At("cnf", "jkt").Text != "x" || raised[len(raised)-5:] != ".c2ln" {
		t.Errorf("raised: %s", raised)
	}
	header, claims, _ := jwtOf(unsigned)
	if header.Get("alg").Text != "none" || claims.Get("sub").Text != "a" || unsigned[len(unsigned)-1] != '.' {
		t.Errorf("unsigned: %s", unsigned)
	}
	if _, _, ok := forge("opaque"); ok {
		t.Error("an opaque token was forged")
	}
}
