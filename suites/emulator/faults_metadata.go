package emulator

import (
	"net/http"
	"slices"
	"strings"

	"grantcheck/suites/contract"
)

// metadataFaults break the rules of the group metadata.
var metadataFaults = []Fault{
	{
		Name: "metadata.document", Rule: "metadata.document",
		Text: "Metadata is served as text/plain.",
		Apply: func(b *behaviour) {
			b.onDocument(metadataEndpoint, func(f *flow, a *answer) { a.set("Content-Type", "text/plain; charset=utf-8") })
		},
	},
	{
		Name: "metadata.document/status", Rule: "metadata.document",
		Text: "Metadata is served with status 201.",
		Apply: func(b *behaviour) {
			b.onDocument(metadataEndpoint, func(f *flow, a *answer) { a.Status = http.StatusCreated })
		},
	},
	{
		Name: "metadata.document/trailing-comma", Rule: "metadata.document",
		Text: "The JSON of the metadata has a comma behind its last member.",
		Apply: func(b *behaviour) {
			b.onDocument(metadataEndpoint, func(f *flow, a *answer) {
				a.Rewrite = func(body []byte) []byte { return append(body[:len(body)-1:len(body)-1], ",}"...) }
			})
		},
	},
	{
		Name: "metadata.published", Rule: "metadata.published",
		Text:  "Every well-known location gives 404.",
		Setup: Setup{Edition: "bcp"},
		Apply: func(b *behaviour) {
			b.onDocument(metadataEndpoint, func(f *flow, a *answer) {
				a.Status, a.Body = http.StatusNotFound, object{{Name: "error", Value: "not_found"}}
			})
		},
	},
	{
		Name: "metadata.published/page-for-everything", Rule: "metadata.published",
		Text:  "The well-known locations give the start page of an application, with 200.",
		Setup: Setup{Edition: "bcp"},
		Apply: func(b *behaviour) {
			b.onDocument(metadataEndpoint, func(f *flow, a *answer) {
				a.text("text/html", `<!doctype html><title>App</title><a href="/?issuer=1&amp;token_endpoint=2">Start</a>`)
			})
		},
	},
	{
		Name: "metadata.issuer-identical", Rule: "metadata.issuer-identical",
		Text:  "The issuer in the metadata ends in an extra slash.",
		Apply: advertising("issuer", func(f *flow) any { return f.e.issuer + "/" }),
	},
	{
		Name: "metadata.issuer-identical/another", Rule: "metadata.issuer-identical",
		Text:  "The metadata are those of another issuer.",
		Apply: advertising("issuer", func(f *flow) any { return "https://issuer.example" }),
	},
	{
		Name: "metadata.issuer-identical/letter-case", Rule: "metadata.issuer-identical",
		Text:  "The issuer in the metadata is spelt in capitals.",
		Apply: advertising("issuer", func(f *flow) any { return strings.ToUpper(f.e.issuer) }),
	},
	{
		Name: "metadata.issuer-identical/at-one-location", Rule: "metadata.issuer-identical",
		Text: "The OpenID document has the right issuer, that of RFC 8414 another one.",
		Apply: func(b *behaviour) {
			b.onDocument(metadataEndpoint, func(f *flow, a *answer) {
				if strings.Contains(f.r.URL.Path, "oauth-authorization-server") {
					a.Body.set("issuer", f.e.issuer+"/oauth")
				}
			})
		},
	},
	{
		Name: "metadata.issuer-syntax", Rule: "metadata.issuer-syntax",
		Text:  "The issuer carries a query component, in the document and in the contract alike.",
		Setup: properIssuer,
		Apply: oddIssuer("?tenant=1"),
	},
	{
		Name: "metadata.issuer-syntax/fragment", Rule: "metadata.issuer-syntax",
		Text:  "The issuer carries a fragment, in the document and in the contract alike.",
		Setup: properIssuer,
		Apply: oddIssuer("#tenant"),
	},
	{
		Name: "metadata.token-endpoint", Rule: "metadata.token-endpoint",
		Text:  "Metadata has no token_endpoint.",
		Apply: without("token_endpoint"),
	},
	{
		Name: "metadata.token-endpoint/another", Rule: "metadata.token-endpoint",
		Text:  "Metadata names a token endpoint of a former version.",
		Apply: advertising("token_endpoint", func(f *flow) any { return f.e.base + "/v1/token" }),
	},
	{
		Name: "metadata.response-types", Rule: "metadata.response-types",
		Text:  "response_types_supported is missing while authorization_code is listed.",
		Apply: without("response_types_supported"),
	},
	{
		Name: "metadata.no-empty-arrays", Rule: "metadata.no-empty-arrays",
		Text:  "scopes_supported is an empty array.",
		Apply: advertising("scopes_supported", func(*flow) any { return []string{} }),
	},
	{
		Name: "metadata.no-empty-arrays/locales", Rule: "metadata.no-empty-arrays",
		Text:  "ui_locales_supported is an empty array.",
		Apply: advertising("ui_locales_supported", func(*flow) any { return []string{} }),
	},
	{
		Name: "metadata.types", Rule: "metadata.types",
		Text: "grant_types_supported is one string with spaces.",
		Apply: func(b *behaviour) {
			b.onDocument(metadataEndpoint, func(f *flow, a *answer) {
				grants, _ := a.Body.get("grant_types_supported").([]string)
				a.Body.set("grant_types_supported", strings.Join(grants, " "))
			})
		},
	},
	{
		Name: "metadata.types/flag", Rule: "metadata.types",
		Text:  "authorization_response_iss_parameter_supported is the string true.",
		Apply: advertising("authorization_response_iss_parameter_supported", func(*flow) any { return "true" }),
	},
	{
		Name: "metadata.types/relative-address", Rule: "metadata.types",
		Text:  "registration_endpoint is a path without a host.",
		Apply: advertising("registration_endpoint", func(*flow) any { return "/register" }),
	},
	{
		Name: "metadata.types/numbers", Rule: "metadata.types",
		Text:  "acr_values_supported is a list of numbers.",
		Apply: advertising("acr_values_supported", func(*flow) any { return []any{1, 2} }),
	},
	{
		Name: "metadata.unknown-members", Rule: "metadata.unknown-members",
		Text:  "Metadata has code_challenge_method_supported, in the singular.",
		Apply: advertising("code_challenge_method_supported", func(*flow) any { return []string{"S256"} }),
	},
	{
		Name: "metadata.unknown-members/camel-case", Rule: "metadata.unknown-members",
		Text:  "Metadata has registrationEndpoint, in camel case.",
		Apply: advertising("registrationEndpoint", func(f *flow) any { return f.e.base + "/register" }),
	},
	{
		Name: "metadata.auth-methods-truthful", Rule: "metadata.auth-methods-truthful",
		Text:  "Only tls_client_auth is advertised while secrets work.",
		Apply: advertising("token_endpoint_auth_methods_supported", func(*flow) any { return []string{"tls_client_auth"} }),
	},
	{
		Name: "metadata.auth-methods-truthful/left-out", Rule: "metadata.auth-methods-truthful",
		Text:  "The list is left out, which stands for client_secret_basic, while the client uses client_secret_post.",
		Setup: Setup{Prepare: func(c *contract.Contract) { c.Client.Auth = []string{"post"} }},
		Apply: without("token_endpoint_auth_methods_supported"),
	},
	{
		Name: "metadata.signing-algs", Rule: "metadata.signing-algs",
		Text: "The list of signing algorithms for client authentication holds none.",
		Apply: func(b *behaviour) {
			b.onDocument(metadataEndpoint, func(f *flow, a *answer) {
				const name = "token_endpoint_auth_signing_alg_values_supported"
				algs, _ := a.Body.get(name).([]string)
				a.Body.set(name, append(slices.Clone(algs), "none"))
			})
		},
	},
	{
		Name: "metadata.signing-algs/missing", Rule: "metadata.signing-algs",
		Text:  "private_key_jwt is advertised without its signing algorithms.",
		Apply: without("token_endpoint_auth_signing_alg_values_supported"),
	},
	{
		Name: "metadata.asymmetric-auth", Rule: "metadata.asymmetric-auth",
		Text:  "Only client_secret_basic and client_secret_post are listed.",
		Setup: Setup{Edition: "bcp"},
		Apply: advertising("token_endpoint_auth_methods_supported", func(*flow) any { return []string{"client_secret_basic", "client_secret_post"} }),
	},
	{
		Name: "metadata.grants-truthful", Rule: "metadata.grants-truthful",
		Text:  "Advertises an extension grant that it answers with unsupported_grant_type.",
		Apply: listed("grant_types_supported", func(l []string) []string { return append(l, "urn:ietf:params:oauth:grant-type:token-exchange") }),
	},
	{
		Name: "metadata.grants-complete", Rule: "metadata.grants-complete",
		Text:  "refresh_token works and is not listed.",
		Apply: listed("grant_types_supported", func(l []string) []string { return remove(l, refreshGrant) }),
	},
	{
		Name: "metadata.grants-complete/client-credentials", Rule: "metadata.grants-complete",
		Text:  "The list is left out, which stands for authorization_code and implicit, while others work.",
		Apply: without("grant_types_supported"),
	},
	{
		Name: "metadata.pkce-advertised", Rule: "metadata.pkce-advertised",
		Text:  "code_challenge_methods_supported is missing.",
		Setup: Setup{Edition: "bcp"},
		Apply: without("code_challenge_methods_supported"),
	},
	{
		Name: "metadata.pkce-advertised/plain-alone", Rule: "metadata.pkce-advertised",
		Text:  "code_challenge_methods_supported lists plain alone.",
		Setup: Setup{Edition: "bcp"},
		Apply: advertising("code_challenge_methods_supported", func(*flow) any { return []string{"plain"} }),
	},
	{
		Name: "metadata.pkce-no-plain", Rule: "metadata.pkce-no-plain",
		Text:  "code_challenge_methods_supported lists plain and S256.",
		Setup: Setup{Edition: "bcp"},
		Apply: advertising("code_challenge_methods_supported", func(*flow) any { return []string{"plain", "S256"} }),
	},
	{
		Name: "metadata.jwks-public-only", Rule: "metadata.jwks-public-only",
		Text: "One RSA key of the key set includes d.",
		Apply: published(func(f *flow, keys []any) []any {
			for i := range keys {
				if k := keys[i].(object); k.get("kty") == "RSA" {
					keys[i] = append(slices.Clone(k), member{Name: "d", Value: filler(256)})
				}
			}
			return keys
		}),
	},
	{
		Name: "metadata.jwks-public-only/symmetric", Rule: "metadata.jwks-public-only",
		Text: "The key set holds a symmetric key.",
		Apply: published(func(f *flow, keys []any) []any {
			return append(keys, object{{Name: "kty", Value: "oct"}, {Name: "use", Value: "sig"}, {Name: "kid", Value: "hs-1"}, {Name: "k", Value: filler(32)}})
		}),
	},
	{
		Name: "metadata.jwks-structure", Rule: "metadata.jwks-structure",
		Text: "Two RSA keys share one kid.",
		Apply: published(func(f *flow, keys []any) []any {
			other := publicRSA("old", "sig", 256)
			other.set("n", filler(255)+"AQ")
			return append(keys, publicRSA("old", "sig", 256), other)
		}),
	},
	{
		Name: "metadata.jwks-structure/no-kty", Rule: "metadata.jwks-structure",
		Text: "A key has no kty.",
		Apply: published(func(f *flow, keys []any) []any {
			k := publicRSA("old", "sig", 256)
			k.drop("kty")
			return append(keys, k)
		}),
	},
	{
		Name: "metadata.jwks-structure/no-use", Rule: "metadata.jwks-structure",
		Text: "Beside a key for encryption stands one that does not tell its use.",
		Apply: published(func(f *flow, keys []any) []any {
			k := publicRSA("old", "sig", 256)
			k.drop("use")
			return append(keys, publicRSA("enc", "enc", 256), k)
		}),
	},
	{
		Name: "metadata.key-strength", Rule: "metadata.key-strength",
		Text:  "The key set holds an RSA key of 1024 bits.",
		Apply: published(func(f *flow, keys []any) []any { return append(keys, publicRSA("old", "sig", 128)) }),
	},
}

// advertising gives a member of the metadata a value.
func advertising(name string, value func(f *flow) any) func(*behaviour) {
	return func(b *behaviour) {
		b.onDocument(metadataEndpoint, func(f *flow, a *answer) { a.Body.set(name, value(f)) })
	}
}

// without leaves a member of the metadata out.
func without(name string) func(*behaviour) {
	return func(b *behaviour) {
		b.onDocument(metadataEndpoint, func(f *flow, a *answer) { a.Body.drop(name) })
	}
}

// listed changes a list of the metadata.
func listed(name string, change func([]string) []string) func(*behaviour) {
	return func(b *behaviour) {
		b.onDocument(metadataEndpoint, func(f *flow, a *answer) {
			list, _ := a.Body.get(name).([]string)
			a.Body.set(name, change(slices.Clone(list)))
		})
	}
}

func remove(list []string, item string) []string {
	return slices.DeleteFunc(list, func(s string) bool { return s == item })
}

// published changes the key set.
func published(change func(f *flow, keys []any) []any) func(*behaviour) {
	return func(b *behaviour) {
		b.onDocument(jwksEndpoint, func(f *flow, a *answer) {
			keys, _ := a.Body.get("keys").([]any)
			a.Body.set("keys", change(f, slices.Clone(keys)))
		})
	}
}

// publicRSA is an RSA key that nobody holds the private half of.
func publicRSA(kid, use string, octets int) object {
	return object{{Name: "kty", Value: "RSA"}, {Name: "use", Value: use}, {Name: "kid", Value: kid}, {Name: "n", Value: filler(octets)}, {Name: "e", Value: "AQAB"}}
}

// filler is that many octets in base64url, the highest bit set and the lowest too.
func filler(octets int) string { return b64.EncodeToString([]byte(strings.Repeat("\xc5", octets))) }

// properIssuer serves everything with TLS, as an issuer has to be.
var properIssuer = Setup{Options: func(o *Options) { o.TLS = &TLS{} }}

// oddIssuer puts something behind the issuer, in everything that is served and in the contract.
func oddIssuer(behind string) func(*behaviour) {
	return func(b *behaviour) {
		b.onWorld(func(e *Emulator) {
			e.issuer += behind
			e.bound.Metadata.Issuer = e.issuer
		})
	}
}
