package emulator

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"slices"
	"strings"
	"time"
)

// jwtClientAuthFaults break the rules of the group jwt-client-auth.
var jwtClientAuthFaults = []Fault{
	{
		Name: "jwt-auth.happy-path", Rule: "jwt-auth.happy-path",
		Text: "Requires a non-standard claim, purpose, and refuses the valid assertion.",
		Apply: func(b *behaviour) {
			refuseAssertion(b, func(f *flow, t *jws) bool { return t.claims["purpose"] == nil })
		},
	},
	{
		Name: "jwt-auth.happy-path/kid", Rule: "jwt-auth.happy-path",
		Text:  "Refuses every assertion whose header carries no kid, though one key is registered.",
		Apply: func(b *behaviour) { refuseAssertion(b, func(_ *flow, t *jws) bool { return t.header["kid"] == nil }) },
	},
	{
		Name: "jwt-auth.happy-path/client-secret-jwt", Rule: "jwt-auth.happy-path",
		Text: "Clients registered to sign with their secret are refused.",
		Apply: func(b *behaviour) {
			refuseAssertion(b, func(_ *flow, t *jws) bool { return strings.HasPrefix(t.alg, "HS") })
		},
	},
	{
		Name: "jwt-auth.bad-signature", Rule: "jwt-auth.bad-signature",
		Text:  "Claims are read without verifying the signature.",
		Apply: func(b *behaviour) { b.skip(atAssertionSignature) },
	},
	{
		Name: "jwt-auth.bad-signature/client-secret-jwt", Rule: "jwt-auth.bad-signature",
		Text: "The MAC of assertions signed with a secret is not verified.",
		Apply: func(b *behaviour) {
			b.skipIf(atAssertionSignature, func(f *flow) bool { return strings.HasPrefix(f.assertion.alg, "HS") })
		},
	},
	{
		Name: "jwt-auth.foreign-key", Rule: "jwt-auth.foreign-key",
		Text: "Trusts the key in the jwk header.",
		Apply: func(b *behaviour) {
			std := b.assertionKeys
			b.assertionKeys = func(f *flow, t *jws) []verifyKey {
				if k, ok := embeddedKey(t); ok && t.client {
					return []verifyKey{k}
				}
				return std(f, t)
			}
		},
	},
	{
		Name: "jwt-auth.other-client-key", Rule: "jwt-auth.other-client-key",
		Text: "Keys are looked up across all clients.",
		Apply: func(b *behaviour) {
			std := b.assertionKeys
			b.assertionKeys = func(f *flow, t *jws) []verifyKey {
				keys := std(f, t)
				for _, c := range f.e.registered {
					if t.client {
						keys = append(keys[:len(keys):len(keys)], c.keys...)
					}
				}
				return keys
			}
		},
	},
	{
		Name: "jwt-auth.alg-none", Rule: "jwt-auth.alg-none",
		Text:  "The default of the library accepts alg none.",
		Apply: func(b *behaviour) { acceptAlg(b, func(alg string) bool { return alg == "none" }) },
	},
	{
		Name: "jwt-auth.alg-none/upper-case", Rule: "jwt-auth.alg-none",
		Text:  "Refuses alg none in lower case, and takes NONE for it all the same.",
		Apply: func(b *behaviour) { acceptAlg(b, func(alg string) bool { return alg == "NONE" }) },
	},
	{
		Name: "jwt-auth.alg-confusion", Rule: "jwt-auth.alg-confusion",
		Text:  "An HS256 header makes the verifier use the PEM text of the registered public key as MAC key.",
		Apply: func(b *behaviour) { confuseAlg(b, publicPEM) },
	},
	{
		Name: "jwt-auth.alg-confusion/trimmed", Rule: "jwt-auth.alg-confusion",
		Text:  "The same with the PEM text without its last line feed.",
		Apply: func(b *behaviour) { confuseAlg(b, func(k verifyKey) []byte { return bytes.TrimSpace(publicPEM(k)) }) },
	},
	{
		Name: "jwt-auth.alg-confusion/jwk", Rule: "jwt-auth.alg-confusion",
		Text: "The same with the JWK text of the key.",
		Apply: func(b *behaviour) {
			confuseAlg(b, func(k verifyKey) []byte {
				o := object{
					{Name: "use", Value: "sig"},
					{Name: "kty", Value: "RSA"},
					{Name: "alg", Value: "RS256"},
					{Name: "n", Value: b64.EncodeToString(k.rsa.N.Bytes())},
					{Name: "e", Value: b64.EncodeToString(big.NewInt(int64(k.rsa.E)).Bytes())},
				}
				if k.kid != "" {
					o = slices.Insert(o, 2, member{Name: "kid", Value: k.kid})
				}
				return o.json()
			})
		},
	},
	{
		Name: "jwt-auth.expired", Rule: "jwt-auth.expired",
		Text:  "exp is not checked.",
		Apply: func(b *behaviour) { b.skip(atAssertionExpired) },
	},
	{
		Name: "jwt-auth.missing-exp", Rule: "jwt-auth.missing-exp",
		Text:  "A missing exp is read as never expiring.",
		Apply: func(b *behaviour) { b.skip(atAssertionExp) },
	},
	{
		Name: "jwt-auth.not-yet-valid", Rule: "jwt-auth.not-yet-valid",
		Text:  "nbf is ignored.",
		Apply: func(b *behaviour) { b.skip(atAssertionNotBefore) },
	},
	{
		Name: "jwt-auth.skew", Rule: "jwt-auth.skew",
		Text:  "Compares times with no leeway.",
		Apply: func(b *behaviour) { b.leeway = 0 },
	},
	{
		Name: "jwt-auth.skew/iat", Rule: "jwt-auth.skew",
		Text: "Refuses an iat that lies a few seconds ahead.",
		Apply: func(b *behaviour) {
			refuseAssertion(b, func(f *flow, t *jws) bool {
				iat, ok := t.time("iat")
				return ok && iat.Sub(f.now) > 2*time.Second
			})
		},
	},
	{
		Name: "jwt-auth.wrong-aud", Rule: "jwt-auth.wrong-aud",
		Text: "aud is not compared.",
		Apply: func(b *behaviour) {
			b.skipIf(atAssertionAudience, func(f *flow) bool { return len(texts(f.assertion.claims["aud"])) > 0 })
		},
	},
	{
		Name: "jwt-auth.missing-aud", Rule: "jwt-auth.missing-aud",
		Text: "An absent aud passes the audience check.",
		Apply: func(b *behaviour) {
			b.skipIf(atAssertionAudience, func(f *flow) bool { return f.assertion.claims["aud"] == nil })
		},
	},
	{
		Name: "jwt-auth.missing-iss", Rule: "jwt-auth.missing-iss",
		Text:  "The client is looked up by sub only: an absent iss passes.",
		Apply: func(b *behaviour) { b.skipIf(atAssertionIssuer, lacksClaim("iss")) },
	},
	{
		Name: "jwt-auth.wrong-iss", Rule: "jwt-auth.wrong-iss",
		Text: "Any iss is accepted.",
		Apply: func(b *behaviour) {
			b.skipIf(atAssertionIssuer, func(f *flow) bool { return !lacksClaim("iss")(f) })
		},
	},
	{
		Name: "jwt-auth.wrong-iss/registered", Rule: "jwt-auth.wrong-iss",
		Text: "iss may name any registered client.",
		Apply: func(b *behaviour) {
			b.skipIf(atAssertionIssuer, func(f *flow) bool {
				iss, _ := f.assertion.claims["iss"].(string)
				return f.e.clients[iss] != nil
			})
		},
	},
	{
		Name: "jwt-auth.missing-sub", Rule: "jwt-auth.missing-sub",
		Text:  "The client is looked up by iss only: an absent sub passes.",
		Apply: func(b *behaviour) { b.skipIf(atAssertionSubject, lacksClaim("sub")) },
	},
	{
		Name: "jwt-auth.wrong-sub", Rule: "jwt-auth.wrong-sub",
		Text: "sub is ignored: the client is the one whose key verified.",
		Apply: func(b *behaviour) {
			b.instead(atClientKnown, func(f *flow, standard func() *refusal) *refusal {
				if f.assertion == nil || lacksClaim("sub")(f) || lacksClaim("iss")(f) {
					return standard()
				}
				iss, _ := f.assertion.claims["iss"].(string)
				if f.client = f.e.clients[iss]; f.client == nil {
					return standard()
				}
				return nil
			})
			b.skipIf(atAssertionSubject, func(f *flow) bool {
				iss, _ := f.assertion.claims["iss"].(string)
				return !lacksClaim("sub")(f) && iss == f.client.id
			})
		},
	},
	{
		Name: "jwt-auth.client-id-mismatch", Rule: "jwt-auth.client-id-mismatch",
		Text: "The token is issued to the client named in client_id.",
		Apply: func(b *behaviour) {
			b.instead(atClientID, func(f *flow, standard func() *refusal) *refusal {
				if named := f.e.clients[f.cred.bodyID]; f.method == "jwt" && named != nil {
					f.client = named
					return nil
				}
				return standard()
			})
		},
	},
	{
		Name: "jwt-auth.client-id-mismatch/ignored", Rule: "jwt-auth.client-id-mismatch",
		Text:  "client_id is ignored beside an assertion.",
		Apply: func(b *behaviour) { b.skipIf(atClientID, func(f *flow) bool { return f.method == "jwt" }) },
	},
	{
		Name: "jwt-auth.client-id-mismatch/equal-refused", Rule: "jwt-auth.client-id-mismatch",
		Text: "Refuses any client_id beside an assertion, that of the same client too.",
		Apply: func(b *behaviour) {
			b.instead(atClientID, func(f *flow, standard func() *refusal) *refusal {
				if f.method == "jwt" && f.cred.bodyID != "" {
					return refuse(clientIDMismatch, "client_id")
				}
				return standard()
			})
		},
	},
	{
		Name: "jwt-auth.wrong-assertion-type", Rule: "jwt-auth.wrong-assertion-type",
		Text:  "The assertion is accepted whatever the type says.",
		Apply: func(b *behaviour) { b.skip(atAssertionType) },
	},
	{
		Name: "jwt-auth.wrong-assertion-type/missing", Rule: "jwt-auth.wrong-assertion-type",
		Text: "A missing client_assertion_type is read as that of JWTs.",
		Apply: func(b *behaviour) {
			b.skipIf(atAssertionType, func(f *flow) bool { return f.cred.assertionType == "" })
		},
	},
	{
		Name: "jwt-auth.wrong-assertion-type/unknown", Rule: "jwt-auth.wrong-assertion-type",
		Text: "client_assertion_type has to be there, and may be anything.",
		Apply: func(b *behaviour) {
			b.skipIf(atAssertionType, func(f *flow) bool { return f.cred.assertionType != "" })
		},
	},
	{
		Name: "jwt-auth.invalid-client-code", Rule: "jwt-auth.invalid-client-code",
		Text:  "Answers invalid_grant for a bad client assertion.",
		Apply: func(b *behaviour) { b.recode(badClientAssertion, 400, "invalid_grant") },
	},
	{
		Name: "jwt-auth.invalid-client-code/expired", Rule: "jwt-auth.invalid-client-code",
		Text:  "Answers invalid_grant for an expired client assertion.",
		Apply: func(b *behaviour) { recodeAssertion(b, "expired", 400, "invalid_grant") },
	},
	{
		Name: "jwt-auth.invalid-client-code/audience", Rule: "jwt-auth.invalid-client-code",
		Text:  "Answers invalid_request for a client assertion addressed to someone else.",
		Apply: func(b *behaviour) { recodeAssertion(b, "aud", 400, "invalid_request") },
	},
	{
		Name: "jwt-auth.invalid-client-code/signature", Rule: "jwt-auth.invalid-client-code",
		Text:  "Answers invalid_grant for a client assertion whose signature does not verify.",
		Apply: func(b *behaviour) { recodeAssertion(b, "signature", 400, "invalid_grant") },
	},
	{
		Name: "jwt-auth.malformed", Rule: "jwt-auth.malformed",
		Text:  "An exception of the parser leads to 500.",
		Apply: func(b *behaviour) { recodeAssertion(b, "syntax", 500, "server_error") },
	},
	{
		Name: "jwt-auth.malformed/payload", Rule: "jwt-auth.malformed",
		Text: "A payload that is not JSON leads to 500.",
		Apply: func(b *behaviour) {
			b.onRefusal(func(f *flow, r *refusal) {
				if r.Reason == badClientAssertion && r.Token == "syntax" && strings.Count(f.cred.assertion, ".") == 2 {
					r.Status, r.Code = 500, "server_error"
				}
			})
		},
	},
	{
		Name: "jwt-auth.malformed/two-segments", Rule: "jwt-auth.malformed",
		Text: "An assertion without a signature segment passes as one that needs none.",
		Apply: func(b *behaviour) {
			b.instead(atAssertionSyntax, func(f *flow, standard func() *refusal) *refusal {
				if strings.Count(f.cred.assertion, ".") != 1 {
					return standard()
				}
				t, err := parseJWS(f.cred.assertion + ".")
				if err != nil {
					return standard()
				}
				t.client = true
				f.assertion = t
				return nil
			})
			for _, p := range []point{atAssertionAlg, atAssertionSignature} {
				b.skipIf(p, func(f *flow) bool { return strings.Count(f.cred.assertion, ".") == 1 })
			}
		},
	},
	{
		Name: "jwt-auth.with-secret", Rule: "jwt-auth.with-secret",
		Text: "One mechanism is picked and the other ignored.",
		Apply: func(b *behaviour) {
			b.skipIf(atOneAuthMethod, func(f *flow) bool { return slices.Contains(f.cred.methods(), "jwt") })
		},
	},
	{
		Name: "jwt-auth.jti-replay", Rule: "jwt-auth.jti-replay",
		Text:  "Accepts the replay of an assertion.",
		Apply: func(b *behaviour) { b.skip(atAssertionJTI) },
	},
	{
		Name: "jwt-auth.old-iat", Rule: "jwt-auth.old-iat",
		Text:  "iat is ignored.",
		Apply: func(b *behaviour) { b.skip(atAssertionIssued) },
	},
	{
		Name: "jwt-auth.issuer-audience", Rule: "jwt-auth.issuer-audience",
		Text:  "Only the token endpoint URL is accepted as audience.",
		Setup: Setup{Edition: "oauth21"},
		Apply: func(b *behaviour) {
			refuseAssertion(b, func(f *flow, t *jws) bool { return slices.Contains(texts(t.claims["aud"]), f.e.issuer) })
		},
	},
	{
		Name: "jwt-auth.issuer-audience/array", Rule: "jwt-auth.issuer-audience",
		Text:  "The issuer identifier is accepted in an array only.",
		Setup: Setup{Edition: "oauth21"},
		Apply: func(b *behaviour) {
			refuseAssertion(b, func(f *flow, t *jws) bool { return t.claims["aud"] == f.e.issuer })
		},
	},
	{
		Name: "jwt-auth.aud-array", Rule: "jwt-auth.aud-array",
		Text: "An aud array is compared as text and refused.",
		Apply: func(b *behaviour) {
			refuseAssertion(b, func(_ *flow, t *jws) bool {
				_, text := t.claims["aud"].(string)
				return !text && t.claims["aud"] != nil
			})
		},
	},
}

// refuseAssertion refuses further client assertions, once everything else is right with them.
func refuseAssertion(b *behaviour, bad func(f *flow, t *jws) bool) {
	b.instead(atAssertionJTI, func(f *flow, standard func() *refusal) *refusal {
		if bad(f, f.assertion) {
			return refuse(badClientAssertion, "client_assertion")
		}
		return standard()
	})
}

// recodeAssertion changes the answer to one defect of a client assertion.
func recodeAssertion(b *behaviour, what string, status int, code string) {
	b.onRefusal(func(f *flow, r *refusal) {
		if r.Reason == badClientAssertion && r.Token == what {
			r.Status, r.Code = status, code
		}
	})
}

// acceptAlg takes client assertions with such an alg unverified.
func acceptAlg(b *behaviour, accept func(alg string) bool) {
	for _, p := range []point{atAssertionAlg, atAssertionSignature} {
		b.skipIf(p, func(f *flow) bool { return accept(f.assertion.alg) })
	}
}

// confuseAlg takes a text of the registered public key for the secret of HS256.
func confuseAlg(b *behaviour, text func(verifyKey) []byte) {
	hs := func(f *flow) bool {
		return f.assertion.alg == "HS256" && len(f.client.keys) > 0 && f.client.keys[0].rsa != nil
	}
	b.skipIf(atAssertionAlg, hs)
	b.skipIf(atAssertionSignature, func(f *flow) bool {
		return hs(f) && verifyKey{kty: "oct", secret: text(f.client.keys[0])}.verify(f.assertion)
	})
}

func publicPEM(k verifyKey) []byte {
	der, err := x509.MarshalPKIXPublicKey(k.rsa)
	if err != nil {
		return nil
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

// embeddedKey reads the RSA key in the jwk header member.
func embeddedKey(t *jws) (verifyKey, bool) {
	text, err := json.Marshal(t.header["jwk"])
	var k struct{ Kty, N, E string }
	if err != nil || json.Unmarshal(text, &k) != nil || k.Kty != "RSA" {
		return verifyKey{}, false
	}
	n, err1 := b64.DecodeString(k.N)
	e, err2 := b64.DecodeString(k.E)
	return verifyKey{kty: "RSA", rsa: &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(new(big.Int).SetBytes(e).Int64())}}, err1 == nil && err2 == nil
}

// lacksClaim tells an assertion without a claim, or with an empty one.
func lacksClaim(name string) func(f *flow) bool {
	return func(f *flow) bool { s, _ := f.assertion.claims[name].(string); return s == "" }
}
