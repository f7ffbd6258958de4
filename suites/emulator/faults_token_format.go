package emulator

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"time"

	"grantcheck/suites/contract"
)

// tokenFormatFaults break the rules of the group token-format.
var tokenFormatFaults = []Fault{
	{
		Name: "token.jwt-typ", Rule: "token.jwt-typ",
		Text:  "typ is JWT.",
		Apply: func(b *behaviour) { accessClaims(b, func(f *flow, t *draft) { t.Header.set("typ", "JWT") }) },
	},
	{
		Name: "token.jwt-typ/missing", Rule: "token.jwt-typ",
		Text:  "The header has no typ.",
		Apply: func(b *behaviour) { accessClaims(b, func(f *flow, t *draft) { t.Header.drop("typ") }) },
	},
	{
		Name: "token.jwt-signed", Rule: "token.jwt-signed",
		Text: "Access tokens have alg none and an empty signature.",
		Apply: func(b *behaviour) {
			accessClaims(b, func(f *flow, t *draft) {
				t.Key = &signingKey{alg: "none"}
				t.Header.set("alg", "none")
			})
		},
	},
	{
		Name: "token.jwt-signed/empty-signature", Rule: "token.jwt-signed",
		Text: "Access tokens name RS256, and their signature is empty.",
		Apply: func(b *behaviour) {
			accessClaims(b, func(f *flow, t *draft) {
				t.Mangle = func(s string) string { return s[:strings.LastIndexByte(s, '.')+1] }
			})
		},
	},
	{
		Name: "token.jwt-signed/two-segments", Rule: "token.jwt-signed",
		Text: "Access tokens have no signature segment.",
		Apply: func(b *behaviour) {
			accessClaims(b, func(f *flow, t *draft) { t.Mangle = func(s string) string { return s[:strings.LastIndexByte(s, '.')] } })
		},
	},
	{
		Name: "token.jwt-signed/no-alg", Rule: "token.jwt-signed",
		Text:  "The header names no alg.",
		Apply: func(b *behaviour) { accessClaims(b, func(f *flow, t *draft) { t.Header.drop("alg") }) },
	},
	{
		Name: "token.jwt-signature", Rule: "token.jwt-signature",
		Text:  "Signs access tokens with a key that is not in the JWKS.",
		Apply: func(b *behaviour) { signWith(b, "access_token", newECKey("es-0")) },
	},
	{
		Name: "token.jwt-signature/same-kid", Rule: "token.jwt-signature",
		Text:  "Signs access tokens with a key that is not in the JWKS, under the kid of one that is.",
		Apply: func(b *behaviour) { signWith(b, "access_token", newECKey("es-2")) },
	},
	{
		Name: "token.jwt-signature/unpublished-kid", Rule: "token.jwt-signature",
		Text:  "The kid of access tokens names no published key.",
		Apply: func(b *behaviour) { accessClaims(b, func(f *flow, t *draft) { t.Header.set("kid", "rs-2024") }) },
	},
	{
		Name: "token.jwt-signature/claims-changed", Rule: "token.jwt-signature",
		Text:  "A gateway rewrites the claims of access tokens and keeps the signature.",
		Apply: func(b *behaviour) { accessClaims(b, func(f *flow, t *draft) { t.Mangle = rewritten }) },
	},
	{
		Name: "token.jwt-iss", Rule: "token.jwt-iss",
		Text:  "iss carries a trailing slash that the issuer of the metadata lacks.",
		Apply: func(b *behaviour) { accessClaims(b, func(f *flow, t *draft) { t.Claims.set("iss", f.e.issuer+"/") }) },
	},
	{
		Name: "token.jwt-iss/missing", Rule: "token.jwt-iss",
		Text:  "iss is missing.",
		Apply: func(b *behaviour) { accessClaims(b, func(f *flow, t *draft) { t.Claims.drop("iss") }) },
	},
	{
		Name: "token.jwt-exp", Rule: "token.jwt-exp",
		Text:  "exp is missing.",
		Apply: func(b *behaviour) { accessClaims(b, func(f *flow, t *draft) { t.Claims.drop("exp") }) },
	},
	{
		Name: "token.jwt-exp/string", Rule: "token.jwt-exp",
		Text: "exp is a string.",
		Apply: func(b *behaviour) {
			accessClaims(b, func(f *flow, t *draft) { t.Claims.set("exp", fmt.Sprint(t.Claims.get("exp"))) })
		},
	},
	{
		Name: "token.jwt-exp/past", Rule: "token.jwt-exp",
		Text: "exp lies an hour back.",
		Also: []string{"token.jwt-lifetime-consistent"}, // it compares the same claim
		Apply: func(b *behaviour) {
			accessClaims(b, func(f *flow, t *draft) { t.Claims.set("exp", f.now.Add(-time.Hour).Unix()) })
		},
	},
	{
		Name: "token.jwt-aud", Rule: "token.jwt-aud",
		Text:  "aud is missing.",
		Apply: func(b *behaviour) { accessClaims(b, func(f *flow, t *draft) { t.Claims.drop("aud") }) },
	},
	{
		Name: "token.jwt-aud/empty-string", Rule: "token.jwt-aud",
		Text:  "aud is an empty string.",
		Apply: func(b *behaviour) { accessClaims(b, func(f *flow, t *draft) { t.Claims.set("aud", "") }) },
	},
	{
		Name: "token.jwt-aud/empty-array", Rule: "token.jwt-aud",
		Text:  "aud is an empty array.",
		Apply: func(b *behaviour) { accessClaims(b, func(f *flow, t *draft) { t.Claims.set("aud", []string{}) }) },
	},
	{
		Name: "token.jwt-aud/numbers", Rule: "token.jwt-aud",
		Text:  "aud is an array of numbers.",
		Apply: func(b *behaviour) { accessClaims(b, func(f *flow, t *draft) { t.Claims.set("aud", []any{1, 2}) }) },
	},
	{
		Name: "token.jwt-sub", Rule: "token.jwt-sub",
		Text: "Client credentials tokens have no sub.",
		Apply: func(b *behaviour) {
			accessClaims(b, func(f *flow, t *draft) {
				if f.grantIs(clientCredentials) {
					t.Claims.drop("sub")
				}
			})
		},
	},
	{
		Name: "token.jwt-sub/number", Rule: "token.jwt-sub",
		Text:  "sub is a number.",
		Apply: func(b *behaviour) { accessClaims(b, func(f *flow, t *draft) { t.Claims.set("sub", 4711) }) },
	},
	{
		Name: "token.jwt-sub/user", Rule: "token.jwt-sub",
		Text: "Tokens of a user have user_id instead of sub.",
		Apply: func(b *behaviour) {
			accessClaims(b, func(f *flow, t *draft) {
				if f.authorization.user != nil {
					t.Claims.set("user_id", t.Claims.get("sub"))
					t.Claims.drop("sub")
				}
			})
		},
	},
	{
		Name: "token.jwt-client-id", Rule: "token.jwt-client-id",
		Text: "Only azp is present.",
		Apply: func(b *behaviour) {
			accessClaims(b, func(f *flow, t *draft) {
				t.Claims.set("azp", t.Claims.get("client_id"))
				t.Claims.drop("client_id")
			})
		},
	},
	{
		Name: "token.jwt-client-id/api", Rule: "token.jwt-client-id",
		Text: "client_id names the API.",
		Apply: func(b *behaviour) {
			accessClaims(b, func(f *flow, t *draft) { t.Claims.set("client_id", "https://api.example") })
		},
	},
	{
		Name: "token.jwt-iat-jti", Rule: "token.jwt-iat-jti",
		Text:  "jti is a constant.",
		Apply: func(b *behaviour) { accessClaims(b, func(f *flow, t *draft) { t.Claims.set("jti", "token") }) },
	},
	{
		Name: "token.jwt-iat-jti/no-jti", Rule: "token.jwt-iat-jti",
		Text:  "jti is missing.",
		Apply: func(b *behaviour) { accessClaims(b, func(f *flow, t *draft) { t.Claims.drop("jti") }) },
	},
	{
		Name: "token.jwt-iat-jti/no-iat", Rule: "token.jwt-iat-jti",
		Text:  "iat is missing.",
		Apply: func(b *behaviour) { accessClaims(b, func(f *flow, t *draft) { t.Claims.drop("iat") }) },
	},
	{
		Name: "token.jwt-iat-jti/iat-milliseconds", Rule: "token.jwt-iat-jti",
		Text: "iat is in milliseconds.",
		Apply: func(b *behaviour) {
			accessClaims(b, func(f *flow, t *draft) { t.Claims.set("iat", f.now.UnixMilli()) })
		},
	},
	{
		Name: "token.jwt-scope", Rule: "token.jwt-scope",
		Text:  "The scope claim is missing.",
		Apply: func(b *behaviour) { accessClaims(b, func(f *flow, t *draft) { t.Claims.drop("scope") }) },
	},
	{
		Name: "token.jwt-scope/array", Rule: "token.jwt-scope",
		Text:  "The scope claim is an array.",
		Apply: func(b *behaviour) { accessClaims(b, func(f *flow, t *draft) { t.Claims.set("scope", f.scope) }) },
	},
	{
		Name: "token.jwt-scope/wider", Rule: "token.jwt-scope",
		Text: "The scope claim holds more than was granted.",
		Apply: func(b *behaviour) {
			accessClaims(b, func(f *flow, t *draft) {
				t.Claims.set("scope", strings.Join(append(slices.Clone(f.scope), "offline"), " "))
			})
		},
	},
	{
		Name: "token.jwt-lifetime-consistent", Rule: "token.jwt-lifetime-consistent",
		Text: "expires_in says more than the token lives: its exp is 300 s away.",
		Apply: func(b *behaviour) {
			accessClaims(b, func(f *flow, t *draft) { t.Claims.set("exp", f.now.Add(5*time.Minute).Unix()) })
		},
	},
	{
		Name: "token.jwt-lifetime-consistent/longer", Rule: "token.jwt-lifetime-consistent",
		Text: "The token lives a day longer than expires_in says.",
		Apply: func(b *behaviour) {
			accessClaims(b, func(f *flow, t *draft) { t.Claims.set("exp", f.now.Add(25*time.Hour).Unix()) })
		},
	},
	{
		Name: "token.id-token-present", Rule: "token.id-token-present",
		Text:  "id_token is omitted although openid was granted.",
		Apply: func(b *behaviour) { idMember(b, func(a *answer) { a.Body.drop("id_token") }) },
	},
	{
		Name: "token.id-token-present/opaque", Rule: "token.id-token-present",
		Text:  "id_token is a random text.",
		Apply: func(b *behaviour) { idMember(b, func(a *answer) { a.Body.set("id_token", "mF_9.B5f-4.1JqM") }) },
	},
	{
		Name: "token.id-token-bearer", Rule: "token.id-token-bearer",
		Text:  "token_type of the OpenID code exchange is N_A.",
		Apply: func(b *behaviour) { idMember(b, func(a *answer) { a.Body.set("token_type", "N_A") }) },
	},
	{
		Name: "token.id-token-signature", Rule: "token.id-token-signature",
		Text:  "id_tokens are signed with a key absent from the JWKS.",
		Also:  []string{"token.id-token-kid"}, // the kid of such a key is absent too
		Apply: func(b *behaviour) { signWith(b, "id_token", newECKey("es-0")) },
	},
	{
		Name: "token.id-token-signature/none", Rule: "token.id-token-signature",
		Text: "id_tokens have alg none.",
		Apply: func(b *behaviour) {
			idClaims(b, func(f *flow, t *draft) {
				t.Key = &signingKey{alg: "none"}
				t.Header.set("alg", "none")
				t.Header.drop("kid")
				t.Claims.drop("at_hash")
			})
		},
	},
	{
		Name: "token.id-token-signature/claims-changed", Rule: "token.id-token-signature",
		Text:  "A gateway rewrites the claims of id_tokens and keeps the signature.",
		Apply: func(b *behaviour) { idClaims(b, func(f *flow, t *draft) { t.Mangle = rewritten }) },
	},
	{
		Name: "token.id-token-signature/other-secret", Rule: "token.id-token-signature",
		Text: "id_tokens are signed with HS256 and a secret that the client does not hold.",
		Apply: func(b *behaviour) {
			signWith(b, "id_token", &signingKey{alg: "HS256", secret: []byte("the tenant's own secret, 32 octets")})
		},
	},
	{
		Name: "token.id-token-signature/other-key", Rule: "token.id-token-signature",
		Text:  "The kid of id_tokens names another key than the one that signed.",
		Apply: func(b *behaviour) { idClaims(b, func(f *flow, t *draft) { t.Header.set("kid", "es-2") }) },
	},
	{
		Name: "token.id-token-kid", Rule: "token.id-token-kid",
		Text:  "kid is left out, though several keys are published.",
		Apply: func(b *behaviour) { idClaims(b, func(f *flow, t *draft) { t.Header.drop("kid") }) },
	},
	{
		Name: "token.id-token-kid/unknown", Rule: "token.id-token-kid",
		Text:  "kid names a key that was rotated away.",
		Apply: func(b *behaviour) { idClaims(b, func(f *flow, t *draft) { t.Header.set("kid", "rs-2024") }) },
	},
	{
		Name: "token.id-token-no-key-refs", Rule: "token.id-token-no-key-refs",
		Text:  "jku points to the key set.",
		Apply: func(b *behaviour) { idClaims(b, func(f *flow, t *draft) { t.Header.set("jku", f.e.base+jwksPath) }) },
	},
	{
		Name: "token.id-token-no-key-refs/jwk", Rule: "token.id-token-no-key-refs",
		Text:  "The header carries the key.",
		Apply: func(b *behaviour) { idClaims(b, func(f *flow, t *draft) { t.Header.set("jwk", t.Key.jwk()) }) },
	},
	{
		Name: "token.id-token-iss-aud", Rule: "token.id-token-iss-aud",
		Text:  "aud holds the API identifier instead of the client_id.",
		Apply: func(b *behaviour) { idClaims(b, func(f *flow, t *draft) { t.Claims.set("aud", f.e.base+"/resource") }) },
	},
	{
		Name: "token.id-token-iss-aud/aud-list", Rule: "token.id-token-iss-aud",
		Text: "aud lists APIs, and the client_id is not among them.",
		Apply: func(b *behaviour) {
			idClaims(b, func(f *flow, t *draft) { t.Claims.set("aud", []string{"https://api.example", "https://other.example"}) })
		},
	},
	{
		Name: "token.id-token-iss-aud/no-aud", Rule: "token.id-token-iss-aud",
		Text:  "aud is missing.",
		Apply: func(b *behaviour) { idClaims(b, func(f *flow, t *draft) { t.Claims.drop("aud") }) },
	},
	{
		Name: "token.id-token-iss-aud/wrong-iss", Rule: "token.id-token-iss-aud",
		Text: "iss is an internal address.",
		Apply: func(b *behaviour) {
			idClaims(b, func(f *flow, t *draft) { t.Claims.set("iss", "http://auth.internal:8080") })
		},
	},
	{
		Name: "token.id-token-iss-aud/slash", Rule: "token.id-token-iss-aud",
		Text:  "iss carries a trailing slash that the issuer lacks.",
		Apply: func(b *behaviour) { idClaims(b, func(f *flow, t *draft) { t.Claims.set("iss", f.e.issuer+"/") }) },
	},
	{
		Name: "token.id-token-iss-aud/no-iss", Rule: "token.id-token-iss-aud",
		Text:  "iss is missing.",
		Apply: func(b *behaviour) { idClaims(b, func(f *flow, t *draft) { t.Claims.drop("iss") }) },
	},
	{
		Name: "token.id-token-azp", Rule: "token.id-token-azp",
		Text: "azp names the API.",
		Apply: func(b *behaviour) {
			idClaims(b, func(f *flow, t *draft) { t.Claims.set("azp", "https://api.example") })
		},
	},
	{
		Name: "token.id-token-azp/extra-audience", Rule: "token.id-token-azp",
		Text: "aud has an API beside the client, and azp names the API.",
		Apply: func(b *behaviour) {
			idClaims(b, func(f *flow, t *draft) {
				t.Claims.set("aud", []string{f.client.id, "https://api.example"})
				t.Claims.set("azp", "https://api.example")
			})
		},
	},
	{
		Name: "token.id-token-times", Rule: "token.id-token-times",
		Text:  "exp equals iat.",
		Apply: func(b *behaviour) { idClaims(b, func(f *flow, t *draft) { t.Claims.set("exp", t.Claims.get("iat")) }) },
	},
	{
		Name: "token.id-token-times/no-exp", Rule: "token.id-token-times",
		Text:  "exp is missing.",
		Apply: func(b *behaviour) { idClaims(b, func(f *flow, t *draft) { t.Claims.drop("exp") }) },
	},
	{
		Name: "token.id-token-times/exp-past", Rule: "token.id-token-times",
		Text: "exp lies an hour back.",
		Apply: func(b *behaviour) {
			idClaims(b, func(f *flow, t *draft) { t.Claims.set("exp", f.now.Add(-time.Hour).Unix()) })
		},
	},
	{
		Name: "token.id-token-times/exp-milliseconds", Rule: "token.id-token-times",
		Text: "exp is in milliseconds.",
		Apply: func(b *behaviour) {
			idClaims(b, func(f *flow, t *draft) { t.Claims.set("exp", f.now.Add(time.Hour).UnixMilli()) })
		},
	},
	{
		Name: "token.id-token-times/no-iat", Rule: "token.id-token-times",
		Text:  "iat is missing.",
		Apply: func(b *behaviour) { idClaims(b, func(f *flow, t *draft) { t.Claims.drop("iat") }) },
	},
	{
		Name: "token.id-token-times/iat-ahead", Rule: "token.id-token-times",
		Text: "iat lies an hour ahead, exp behind it.",
		Apply: func(b *behaviour) {
			idClaims(b, func(f *flow, t *draft) {
				t.Claims.set("iat", f.now.Add(time.Hour).Unix())
				t.Claims.set("exp", f.now.Add(2*time.Hour).Unix())
			})
		},
	},
	{
		Name: "token.id-token-sub", Rule: "token.id-token-sub",
		Text:  "sub is longer than 255 characters.",
		Apply: func(b *behaviour) { renameUsers(b, strings.Repeat("a1", 150)) },
	},
	{
		Name: "token.id-token-sub/non-ascii", Rule: "token.id-token-sub",
		Text:  "sub holds letters outside ASCII.",
		Apply: func(b *behaviour) { renameUsers(b, "zoë-müller") },
	},
	{
		Name: "token.id-token-sub/missing", Rule: "token.id-token-sub",
		Text:  "sub is missing.",
		Apply: func(b *behaviour) { idClaims(b, func(f *flow, t *draft) { t.Claims.drop("sub") }) },
	},
	{
		Name: "token.id-token-sub/number", Rule: "token.id-token-sub",
		Text:  "sub is a number.",
		Apply: func(b *behaviour) { idClaims(b, func(f *flow, t *draft) { t.Claims.set("sub", 248289761001) }) },
	},
	{
		Name: "token.id-token-claim-types", Rule: "token.id-token-claim-types",
		Text:  "amr is a string.",
		Apply: func(b *behaviour) { idClaims(b, func(f *flow, t *draft) { t.Claims.set("amr", "pwd") }) },
	},
	{
		Name: "token.id-token-claim-types/auth-time-string", Rule: "token.id-token-claim-types",
		Text: "auth_time is a string.",
		Apply: func(b *behaviour) {
			idClaims(b, func(f *flow, t *draft) { t.Claims.set("auth_time", fmt.Sprint(t.Claims.get("auth_time"))) })
		},
	},
	{
		Name: "token.id-token-claim-types/auth-time-ahead", Rule: "token.id-token-claim-types",
		Text: "auth_time lies an hour ahead.",
		Apply: func(b *behaviour) {
			idClaims(b, func(f *flow, t *draft) { t.Claims.set("auth_time", f.authorization.authTime.Add(time.Hour).Unix()) })
		},
	},
	{
		Name: "token.id-token-claim-types/acr-number", Rule: "token.id-token-claim-types",
		Text:  "acr is a number.",
		Apply: func(b *behaviour) { idClaims(b, func(f *flow, t *draft) { t.Claims.set("acr", 1) }) },
	},
	{
		Name: "token.id-token-claim-types/max-age", Rule: "token.id-token-claim-types",
		Text:  "auth_time is missing, though max_age was sent.",
		Setup: Setup{Prepare: askMaxAge},
		Apply: func(b *behaviour) { idClaims(b, func(f *flow, t *draft) { t.Claims.drop("auth_time") }) },
	},
	{
		Name: "token.id-token-nonce", Rule: "token.id-token-nonce",
		Text:  "nonce is dropped.",
		Apply: func(b *behaviour) { idClaims(b, func(f *flow, t *draft) { t.Claims.drop("nonce") }) },
	},
	{
		Name: "token.id-token-nonce/constant", Rule: "token.id-token-nonce",
		Text: "nonce is always the same.",
		Apply: func(b *behaviour) {
			idClaims(b, func(f *flow, t *draft) {
				if t.Claims.get("nonce") != nil {
					t.Claims.set("nonce", "n-0S6_WzA2Mj")
				}
			})
		},
	},
	{
		Name: "token.id-token-at-hash", Rule: "token.id-token-at-hash",
		Text: "at_hash is computed over the wrong token.",
		Apply: func(b *behaviour) {
			idClaims(b, func(f *flow, t *draft) { t.Claims.set("at_hash", halfHash(t.Key.alg, "refresh token")) })
		},
	},
	{
		Name: "token.id-token-at-hash/whole", Rule: "token.id-token-at-hash",
		Text: "at_hash is the whole hash.",
		Apply: func(b *behaviour) {
			idClaims(b, func(f *flow, t *draft) {
				sum := sha256.Sum256([]byte(t.Beside))
				t.Claims.set("at_hash", b64.EncodeToString(sum[:]))
			})
		},
	},
	{
		Name: "token.id-token-hs-secret", Rule: "token.id-token-hs-secret",
		Text:  "id_tokens are signed with HS256 and a secret of twelve characters.",
		Setup: Setup{Prepare: shortSecret},
		Apply: func(b *behaviour) { signWithSecret(b, "HS256") },
	},
	{
		Name: "token.id-token-hs-secret/hs512", Rule: "token.id-token-hs-secret",
		Text:  "id_tokens are signed with HS512 and a secret of 43 characters.",
		Apply: func(b *behaviour) { signWithSecret(b, "HS512") },
	},
	{
		Name: "token.id-token-refresh-consistent", Rule: "token.id-token-refresh-consistent",
		Text: "auth_time is reset to the refresh time.",
		Apply: func(b *behaviour) {
			idClaims(b, func(f *flow, t *draft) {
				if f.grantIs(refreshGrant) {
					t.Claims.set("auth_time", f.now.Add(time.Second).Unix())
				}
			})
		},
	},
	{
		Name: "token.id-token-refresh-consistent/sub", Rule: "token.id-token-refresh-consistent",
		Text: "The refreshed id_token names another subject.",
		Apply: func(b *behaviour) {
			idClaims(b, func(f *flow, t *draft) {
				if f.grantIs(refreshGrant) {
					t.Claims.set("sub", "user-of-the-session")
				}
			})
		},
	},
	{
		Name: "token.id-token-refresh-consistent/aud", Rule: "token.id-token-refresh-consistent",
		Text: "The refreshed id_token is for the API.",
		Apply: func(b *behaviour) {
			idClaims(b, func(f *flow, t *draft) {
				if f.grantIs(refreshGrant) {
					t.Claims.set("aud", "https://api.example")
				}
			})
		},
	},
	{
		Name: "token.id-token-refresh-consistent/iat", Rule: "token.id-token-refresh-consistent",
		Text: "The refreshed id_token carries an iat from before the sign-in.",
		Apply: func(b *behaviour) {
			idClaims(b, func(f *flow, t *draft) {
				if f.grantIs(refreshGrant) {
					t.Claims.set("iat", f.authorization.authTime.Add(-time.Minute).Unix())
				}
			})
		},
	},
	{
		Name: "token.userinfo-sub", Rule: "token.userinfo-sub",
		Text:  "UserInfo returns an internal user number as sub.",
		Apply: func(b *behaviour) { userInfo(b, func(a *answer) { a.Body.set("sub", "4711") }) },
	},
	{
		Name: "token.userinfo-sub/missing", Rule: "token.userinfo-sub",
		Text: "UserInfo returns the e-mail address and no sub.",
		Apply: func(b *behaviour) {
			userInfo(b, func(a *answer) {
				a.Body.set("email", "alice@example.com")
				a.Body.drop("sub")
			})
		},
	},
}

// accessClaims changes access tokens before they are signed, idClaims id_tokens.
func accessClaims(b *behaviour, fn func(f *flow, t *draft)) { draftOf(b, "access_token", fn) }
func idClaims(b *behaviour, fn func(f *flow, t *draft))     { draftOf(b, "id_token", fn) }

func draftOf(b *behaviour, kind string, fn func(f *flow, t *draft)) {
	b.onClaims(func(f *flow, t *draft) {
		if t.Kind == kind {
			fn(f, t)
		}
	})
}

// idMember changes answers to code exchanges that carry an id_token.
func idMember(b *behaviour, fn func(a *answer)) {
	b.onToken(func(f *flow, a *answer) {
		if f.grantIs(authorizationCode) && f.issue.IDToken != "" {
			fn(a)
		}
	})
}

// signWith signs tokens of one kind with another key.
func signWith(b *behaviour, kind string, key *signingKey) {
	std := b.signingKey
	b.signingKey = func(f *flow, k string) *signingKey {
		if k == kind {
			return key
		}
		return std(f, k)
	}
	draftOf(b, kind, func(_ *flow, t *draft) {
		if key.kid == "" {
			t.Header.drop("kid")
		}
	})
}

// signWithSecret signs id_tokens with the secret of their client.
func signWithSecret(b *behaviour, alg string) {
	std := b.signingKey
	b.signingKey = func(f *flow, kind string) *signingKey {
		if kind == "id_token" && f.client != nil {
			return &signingKey{alg: alg, secret: []byte(f.client.secret)}
		}
		return std(f, kind)
	}
	idClaims(b, func(_ *flow, t *draft) { t.Header.drop("kid") })
}

// rewritten adds a claim to a signed token.
func rewritten(s string) string {
	parts := strings.Split(s, ".")
	claims, err := b64.DecodeString(parts[1])
	if err != nil {
		return s
	}
	parts[1] = b64.EncodeToString(append(claims[:len(claims)-1:len(claims)-1], `,"gateway":"eu-1"}`...))
	return strings.Join(parts, ".")
}

// renameUsers gives every user another sub, the first one this.
func renameUsers(b *behaviour, sub string) {
	b.onWorld(func(e *Emulator) {
		for _, u := range e.users {
			u.sub = sub
			if u != e.primaryUser {
				u.sub += "-2"
			}
		}
	})
}

// userInfo changes the answers of the UserInfo endpoint.
func userInfo(b *behaviour, fn func(a *answer)) {
	b.onDocument(resourceEndpoint, func(f *flow, a *answer) {
		if f.r.URL.Path == userInfoPath && a.Status == 200 {
			fn(a)
		}
	})
}

// askMaxAge makes the authorization request carry max_age.
func askMaxAge(c *contract.Contract) {
	c.AuthorizationEndpoint.Parameters = append(c.AuthorizationEndpoint.Parameters, contract.Field{Name: "max_age", Value: "3600"})
}

// shortSecret gives the client a secret of twelve characters that no server has made.
func shortSecret(c *contract.Contract) { c.Client.Secret, c.Client.SecretBy = "k7Qz-04mTr9x", "" }
