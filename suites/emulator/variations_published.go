package emulator

import (
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"math/big"
	"net/http"
	"slices"
	"strings"
	"time"
)

// publishedVariations are what correct servers do differently about metadata, key sets,
// revocation, introspection and the use of tokens.
var publishedVariations = []Variation{
	// Metadata and key sets.
	{
		Name: "metadata-at-openid-location",
		Text: "Metadata stands at the OpenID location alone; that of RFC 8414 gives the start page of an application, with 200.",
		Apply: func(b *behaviour) {
			b.onDocument(metadataEndpoint, func(f *flow, a *answer) {
				if strings.Contains(f.r.URL.Path, "oauth-authorization-server") {
					a.text("text/html", `<!doctype html><title>App</title><a href="/?issuer=1">Start</a>`)
				}
			})
		},
	},
	{
		Name: "metadata-redirected",
		Text: "The location of RFC 8414 redirects to that of OpenID.",
		Apply: func(b *behaviour) {
			b.onDocument(metadataEndpoint, func(f *flow, a *answer) {
				if strings.Contains(f.r.URL.Path, "oauth-authorization-server") {
					*a = answer{Status: http.StatusFound, NoBody: true}
					a.set("Location", "/.well-known/openid-configuration")
				}
			})
		},
	},
	{
		Name: "metadata-differ",
		Text: "The OpenID document lists less than that of RFC 8414, and what is left to its default is left out.",
		Apply: func(b *behaviour) {
			b.onDocument(metadataEndpoint, func(f *flow, a *answer) {
				if strings.Contains(f.r.URL.Path, "openid-configuration") {
					a.Body.set("grant_types_supported", []string{authorizationCode})
					for _, name := range []string{"token_endpoint_auth_methods_supported", "token_endpoint_auth_signing_alg_values_supported", "scopes_supported"} {
						a.Body.drop(name)
					}
				}
			})
		},
	},
	{
		Name: "metadata-extended",
		Text: "Metadata has members of the vendor's own, null for what is not offered, and every registered kind.",
		Apply: func(b *behaviour) {
			b.onDocument(metadataEndpoint, func(f *flow, a *answer) {
				a.set("Content-Type", "Application/JSON; charset=utf-8")
				a.Body = append(a.Body, member{Name: "x_region", Value: "eu"}, member{Name: "tenant_region_scope", Value: nil},
					member{Name: "registration_endpoint", Value: nil}, member{Name: "service_documentation", Value: "/docs"},
					member{Name: "tls_client_certificate_bound_access_tokens", Value: true},
					member{Name: "mtls_endpoint_aliases", Value: object{{Name: "token_endpoint", Value: "https://mtls.example/token"}}},
					member{Name: "claims_parameter_supported", Value: false}, member{Name: "ui_locales_supported", Value: []string{"de", "en"}})
			})
		},
	},
	{
		Name: "metadata-grants-unregistered",
		Text: "Metadata lists every grant of the server, also one that no client of the run is registered for.",
		Apply: func(b *behaviour) {
			listed("grant_types_supported", func(l []string) []string { return append(l, "implicit", deviceCode) })(b)
			b.instead(atGrantKnown, func(f *flow, standard func() *refusal) *refusal {
				if f.grantType == deviceCode && f.grant == nil {
					return refuse(unauthorizedClient)
				}
				return standard()
			})
		},
	},
	{
		Name: "jwks-of-many-kinds",
		Text: "The key set holds keys of several types, one kid for two types, certificates, keys without use or kid, and types nobody knows.",
		Apply: published(func(f *flow, keys []any) []any {
			for i := range keys {
				k := slices.Clone(keys[i].(object))
				k.drop("use")
				der := f.e.keys[i].selfSigned(f.now)
				sum := sha256.Sum256(der)
				keys[i] = append(k, member{Name: "x5c", Value: []string{base64.StdEncoding.EncodeToString(der)}}, member{Name: "x5t#S256", Value: b64.EncodeToString(sum[:])})
			}
			return append(keys,
				object{{Name: "kty", Value: "OKP"}, {Name: "crv", Value: "Ed25519"}, {Name: "kid", Value: f.e.keys[0].kid}, {Name: "x", Value: filler(32)}},
				object{{Name: "kty", Value: "AKP"}, {Name: "alg", Value: "ML-DSA-44"}, {Name: "pub", Value: filler(1312)}},
				object{{Name: "kty", Value: "urn:example"}, {Name: "k", Value: "public"}, {Name: "kid", Value: "odd"}})
		}),
	},
	{
		Name: "jwks-with-encryption-keys",
		Text: "The key set, typed application/json, holds keys for encryption too, the same one twice under two algorithms, and every key tells its use.",
		Apply: func(b *behaviour) {
			published(func(f *flow, keys []any) []any {
				twice := append(publicRSA("enc", "enc", 256), member{Name: "alg", Value: "RSA-OAEP-256"})
				return append(keys, append(publicRSA("enc", "enc", 256), member{Name: "alg", Value: "RSA-OAEP"}), twice)
			})(b)
			b.onDocument(jwksEndpoint, func(f *flow, a *answer) { a.set("Content-Type", "application/json") })
		},
	},

	// Revocation.
	{
		Name: "revocation-with-body",
		Text: "A revocation is answered with a JSON body: clients ignore it (RFC 7009 section 2.2).",
		Apply: func(b *behaviour) {
			afterRevocation(b, func(f *flow, a *answer) {
				*a = answer{Status: http.StatusOK, Body: object{{Name: "revoked", Value: true}}}
				a.set("Content-Type", "application/json")
			})
		},
	},
	{
		Name: "revocation-of-refresh-tokens-alone",
		Text: "Access tokens cannot be revoked: unsupported_token_type (RFC 7009 section 2.2.1).",
		Apply: func(b *behaviour) {
			b.instead(atRevokeEffect, func(f *flow, standard func() *refusal) *refusal {
				if f.refresh == nil {
					return refuse(unauthorizedClient)
				}
				return standard()
			})
			b.deny(atRevokeCascade, unauthorizedClient)
			afterRevocation(b, func(f *flow, a *answer) {
				if f.access != nil && f.refresh == nil {
					refuseAs(a, http.StatusBadRequest, "unsupported_token_type")
				}
			})
		},
	},
	{
		Name: "revocation-spares-jwts",
		Text: "Revocation answers 200, and an access token that is a JWT stays good until it expires.",
		Apply: func(b *behaviour) {
			b.instead(atRevokeEffect, func(f *flow, standard func() *refusal) *refusal {
				if f.refresh == nil {
					return refuse(unauthorizedClient)
				}
				return standard()
			})
			b.deny(atRevokeCascade, unauthorizedClient)
		},
	},
	{
		Name: "revocation-of-foreign-tokens-refused",
		Text: "Whoever revokes a token of another client is told so: 400 invalid_grant.",
		Apply: func(b *behaviour) {
			afterRevocation(b, func(f *flow, a *answer) {
				if f.refresh != nil && f.refresh.auth.client != f.client || f.access != nil && f.access.auth.client != f.client {
					refuseAs(a, http.StatusBadRequest, "invalid_grant")
				}
			})
		},
	},
	{
		Name: "revocation-of-nothing",
		Text: "A revocation without token is answered with 200: nothing is revoked already.",
		Apply: func(b *behaviour) {
			withoutToken(b, revocationEndpoint, func(a *answer) { *a = answer{Status: http.StatusOK, NoBody: true} })
		},
	},

	// Introspection.
	{
		Name: "introspection-bare",
		Text: "Introspection tells active alone.",
		Apply: func(b *behaviour) {
			onActive(b, true, func(f *flow, a *answer) { a.Body = object{{Name: "active", Value: true}} })
		},
	},
	{
		Name: "introspection-extended",
		Text: "Introspection tells more than is registered, aud as an array and null for what it has not.",
		Apply: func(b *behaviour) {
			onActive(b, true, func(f *flow, a *answer) {
				a.Body.set("aud", []string{"api", "other"})
				a.Body = append(a.Body, member{Name: "nbf", Value: nil}, member{Name: "ext", Value: object{{Name: "roles", Value: []string{"a"}}}}, member{Name: "tenant", Value: 7})
			})
		},
	},
	{
		Name: "introspection-of-access-tokens-alone",
		Text: "Refresh tokens introspect as inactive.",
		Apply: func(b *behaviour) {
			std := b.findRefresh
			b.findRefresh = func(f *flow, token string) *refreshToken {
				if f.endpoint == introspectionEndpoint {
					return nil
				}
				return std(f, token)
			}
		},
	},
	{
		Name: "introspection-anonymous-forbidden",
		Text: "Introspection without credentials is answered with 403.",
		Apply: func(b *behaviour) {
			b.onDocument(introspectionEndpoint, func(f *flow, a *answer) {
				if f.refusal != nil && f.refusal.Reason == missingClientAuth {
					refuseAs(a, http.StatusForbidden, "access_denied")
				}
			})
		},
	},

	// The use of tokens.
	{
		Name: "challenge-without-realm",
		Text: "The Bearer challenge has resource_metadata (RFC 9728 section 5.1) and no realm.",
		Apply: func(b *behaviour) {
			onChallenge(b, func(v string) string {
				return strings.Replace(v, `realm="grantcheck emulator"`, `resource_metadata="https://api.example/.well-known/oauth-protected-resource"`, 1)
			})
		},
	},
	{
		Name: "challenges-of-several-schemes",
		Text: "Challenges for DPoP and Basic stand beside the one for Bearer, which is written in lower case.",
		Apply: func(b *behaviour) {
			onChallenge(b, func(v string) string {
				return `DPoP algs="ES256 PS256", error="use_dpop_nonce", ` + strings.Replace(v, "Bearer", "bearer", 1) + `, Basic realm="a, b"`
			})
		},
	},
	{
		Name: "malformed-token-400",
		Text: "A token that is none of this server's form is answered with 400 invalid_request.",
		Apply: func(b *behaviour) {
			onBearer(b, invalidToken, func(f *flow, a *answer) {
				if !strings.Contains(f.r.Header.Get("Authorization"), ".") {
					a.Status = http.StatusBadRequest
					a.set("WWW-Authenticate", `Bearer realm="api", error="invalid_request"`)
				}
			})
		},
	},
	{
		Name: "scoped-resource-hidden",
		Text: "A resource that a token has no scope for is answered with 404, as if it were not there.",
		Apply: func(b *behaviour) {
			onBearer(b, insufficientScope, func(f *flow, a *answer) {
				a.Status = http.StatusNotFound
				a.del("WWW-Authenticate")
			})
		},
	},
	{
		Name: "tokens-in-the-header-alone",
		Text: "The resource takes tokens in the Authorization field alone; a form gets 405.",
		Apply: func(b *behaviour) {
			b.fromQuery = func(f *flow, name string) bool {
				return f.endpoint != resourceEndpoint && f.e.dialect.queryParameters[name]
			}
			std := b.methodAllowed
			b.methodAllowed = func(f *flow) bool { return std(f) && (f.endpoint != resourceEndpoint || f.r.Method == http.MethodGet) }
		},
	},
}

// onChallenge rewrites the challenges of the resource.
func onChallenge(b *behaviour, change func(string) string) {
	b.onDocument(resourceEndpoint, func(f *flow, a *answer) {
		if v := a.value("WWW-Authenticate"); v != "" {
			a.set("WWW-Authenticate", change(v))
		}
	})
}

// selfSigned is a certificate for the public half, in DER.
func (k *signingKey) selfSigned(now time.Time) []byte {
	var private crypto.Signer = k.rsa
	if k.rsa == nil {
		private = k.ec
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, private.Public(), private)
	if err != nil {
		panic("emulator: certificate: " + err.Error())
	}
	return der
}
