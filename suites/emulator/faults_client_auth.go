package emulator

import (
	"slices"
	"strings"

	"grantcheck/suites/contract"
)

// clientAuthFaults break the rules of the group client-auth. They keep to the token endpoint.
var clientAuthFaults = []Fault{
	{
		Name: "client-auth.basic-supported", Rule: "client-auth.basic-supported",
		Text:  "Only reads client_secret from the body; Basic yields 401 invalid_client.",
		Apply: func(b *behaviour) { withoutMethod(b, "basic") },
	},
	{
		Name: "client-auth.post-supported", Rule: "client-auth.post-supported",
		Text:  "Body credentials alone never authenticate.",
		Setup: Setup{Edition: "oauth21"},
		Apply: func(b *behaviour) { withoutMethod(b, "post") },
	},
	{
		Name: "client-auth.basic-form-decoding", Rule: "client-auth.basic-form-decoding",
		Text: "Compares the still encoded halves of Basic credentials.",
		Apply: func(b *behaviour) {
			std := b.basicDecode
			b.basicDecode = func(f *flow, half string) []string {
				if f.endpoint != tokenEndpoint {
					return std(f, half)
				}
				return []string{half}
			}
		},
	},
	{
		Name: "client-auth.basic-scheme-case", Rule: "client-auth.basic-scheme-case",
		Text: "Only the spelling Basic is recognized.",
		Apply: func(b *behaviour) {
			std := b.schemeIs
			b.schemeIs = func(f *flow, got, want string) bool {
				if want == "Basic" && f.endpoint == tokenEndpoint {
					return got == want
				}
				return std(f, got, want)
			}
		},
	},
	{
		Name: "client-auth.wrong-secret-refused", Rule: "client-auth.wrong-secret-refused",
		Text:  "Accepts any secret for a known client_id.",
		Apply: func(b *behaviour) { b.skipIf(atSecret, atToken) },
	},
	{
		Name: "client-auth.secret-exact-match", Rule: "client-auth.secret-exact-match",
		Text: "Compares only the first eight characters of the secret.",
		Apply: func(b *behaviour) {
			nearSecret(b, func(secret, presented string) bool { return len(presented) >= 8 && presented[:8] == secret[:8] })
		},
	},
	{
		Name: "client-auth.secret-exact-match/letter-case", Rule: "client-auth.secret-exact-match",
		Text:  "Compares secrets without regard to letter case.",
		Apply: func(b *behaviour) { nearSecret(b, strings.EqualFold) },
	},
	{
		Name: "client-auth.secret-exact-match/shorter", Rule: "client-auth.secret-exact-match",
		Text:  "Accepts a secret that lacks its end.",
		Apply: func(b *behaviour) { nearSecret(b, strings.HasPrefix) },
	},
	{
		Name: "client-auth.secret-exact-match/longer", Rule: "client-auth.secret-exact-match",
		Text: "Ignores what follows the secret.",
		Apply: func(b *behaviour) {
			nearSecret(b, func(secret, presented string) bool { return strings.HasPrefix(presented, secret) })
		},
	},
	{
		Name: "client-auth.secret-exact-match/byte-72", Rule: "client-auth.secret-exact-match",
		Text: "Hashes secrets with a function that reads 72 bytes.",
		Setup: Setup{Prepare: func(c *contract.Contract) {
			long := func(c *contract.Client) { c.Secret = strings.Repeat(c.Secret, 1+80/max(1, len(c.Secret))) }
			long(&c.Client)
			for i := range c.Clients {
				if c.Clients[i].Name == "sacrificial" {
					long(&c.Clients[i])
				}
			}
		}},
		Apply: func(b *behaviour) {
			nearSecret(b, func(secret, presented string) bool { return len(presented) >= 72 && presented[:72] == secret[:72] })
		},
	},
	{
		Name: "client-auth.secret-beyond-byte-72", Rule: "client-auth.secret-beyond-byte-72",
		Text: "Hashes secrets with a function that reads 72 bytes.",
		Apply: func(b *behaviour) {
			nearSecret(b, func(secret, presented string) bool {
				return len(secret) > 72 && len(presented) >= 72 && presented[:72] == secret[:72]
			})
		},
	},
	{
		Name: "client-auth.unknown-client-refused", Rule: "client-auth.unknown-client-refused",
		Text: "Unknown clients are made on the fly and get a token.",
		Apply: func(b *behaviour) {
			b.instead(atClientKnown, func(f *flow, standard func() *refusal) *refusal {
				r := standard()
				id, secret := f.claimedClient(), f.cred.bodySecret
				if f.cred.basic {
					secret = f.b.basicDecode(f, f.cred.rawSecret)[0]
				}
				if r == nil || secret == "" || !atToken(f) || len(id)+len(secret) > 1000 || strings.ContainsFunc(id, func(r rune) bool { return r < ' ' || r > '~' || r == '%' }) {
					return r
				}
				f.client = &client{id: id, secret: secret, methods: []string{"basic", "post"}}
				return nil
			})
		},
	},
	{
		Name: "client-auth.client-id-exact", Rule: "client-auth.client-id-exact",
		Text: "Looks clients up without regard to letter case.",
		Apply: func(b *behaviour) {
			std := b.lookupClient
			b.lookupClient = func(f *flow, id string) *client {
				if f.endpoint == tokenEndpoint {
					for _, c := range f.e.registered {
						if strings.EqualFold(c.id, id) {
							return c
						}
					}
				}
				return std(f, id)
			}
		},
	},
	{
		Name: "client-auth.missing-refused", Rule: "client-auth.missing-refused",
		Text: "A client_id alone is enough to get a token.",
		Apply: func(b *behaviour) {
			b.skipIf(atCredential, func(f *flow) bool { return atToken(f) && !f.sent("client_secret") && !f.client.public })
		},
	},
	{
		Name: "client-auth.anonymous-refused", Rule: "client-auth.anonymous-refused",
		Text: "A request that names no client is that of a default client.",
		Apply: func(b *behaviour) {
			b.instead(atClientNamed, func(f *flow, standard func() *refusal) *refusal {
				if r := standard(); r == nil || !atToken(f) || len(f.cred.methods()) > 0 || f.sent("client_secret") || len(f.query) > 0 {
					return r
				}
				f.client, f.method = f.e.registered[0], "none"
				return nil
			})
		},
	},
	{
		Name: "client-auth.empty-secret-refused", Rule: "client-auth.empty-secret-refused",
		Text: "An empty secret cuts the comparison short.",
		Apply: func(b *behaviour) {
			b.skipIf(atCredential, func(f *flow) bool { return atToken(f) && f.sent("client_secret") && !f.client.public })
		},
	},
	{
		Name: "client-auth.malformed-basic", Rule: "client-auth.malformed-basic",
		Text:  "Answers credentials that are not base64 with 500.",
		Apply: func(b *behaviour) { b.recode(malformedBasic, 500, "server_error") },
	},
	{
		Name: "client-auth.malformed-basic/accepted", Rule: "client-auth.malformed-basic",
		Text: "Takes Basic credentials without a colon for those of a default client.",
		Apply: func(b *behaviour) {
			b.instead(atBasicSyntax, func(f *flow, standard func() *refusal) *refusal {
				r := standard()
				if r == nil || !atToken(f) || f.cred.token == "" || strings.ContainsRune(f.cred.token, '%') {
					return r
				}
				own := f.e.registered[0]
				f.cred.malformed, f.cred.rawID, f.cred.rawSecret = false, own.id, own.secret
				return nil
			})
		},
	},
	{
		Name: "client-auth.basic-junk", Rule: "client-auth.basic-junk",
		Text: "Reads base64 up to the first character that is none, and leaves the rest out.",
		Apply: func(b *behaviour) {
			b.instead(atBasicSyntax, func(f *flow, standard func() *refusal) *refusal {
				end := strings.IndexAny(f.cred.token, "! ")
				if r := standard(); r == nil || !atToken(f) || end < 0 {
					return r
				}
				id, secret, ok := splitBasic(f.cred.token[:end])
				if !ok {
					return standard()
				}
				f.cred.malformed, f.cred.rawID, f.cred.rawSecret = false, id, secret
				return nil
			})
		},
	},
	{
		Name: "client-auth.unsupported-scheme", Rule: "client-auth.unsupported-scheme",
		Text: "An unknown scheme counts as authenticated upstream.",
		Apply: func(b *behaviour) {
			b.instead(atScheme, func(f *flow, standard func() *refusal) *refusal {
				if r := standard(); r == nil || !atToken(f) || f.cred.bodySecret != "" || f.cred.scheme == "-" {
					return r
				}
				f.client, f.method = f.e.registered[0], "none"
				return nil
			})
		},
	},
	{
		Name: "client-auth.two-methods", Rule: "client-auth.two-methods",
		Text: "Two credentials that agree are accepted as one.",
		Apply: func(b *behaviour) {
			b.instead(atOneAuthMethod, func(f *flow, standard func() *refusal) *refusal {
				if atToken(f) && f.cred.basic && f.cred.bodySecret != "" && f.cred.assertion == "" && f.agree() {
					return nil
				}
				return standard()
			})
		},
	},
	{
		Name: "client-auth.two-methods/other-code", Rule: "client-auth.two-methods",
		Text:  "Answers two authentication methods with 400 invalid_grant.",
		Apply: func(b *behaviour) { b.recode(twoAuthMethods, 0, "invalid_grant") },
	},
	{
		Name: "client-auth.two-methods-conflict", Rule: "client-auth.two-methods-conflict",
		Text: "A credential that fails gives way to the other one.",
		Apply: func(b *behaviour) {
			b.instead(atOneAuthMethod, func(f *flow, standard func() *refusal) *refusal {
				c := &f.cred
				if !atToken(f) || !c.basic || c.bodySecret == "" || c.assertion != "" || f.agree() {
					return standard()
				}
				if own := f.b.lookupClient(f, c.bodyID); own != nil && equalSecret(own.secret, c.bodySecret) {
					c.scheme, c.basic = "", false
				} else {
					c.bodySecret = ""
				}
				return nil
			})
		},
	},
	{
		Name: "client-auth.client-id-with-basic", Rule: "client-auth.client-id-with-basic",
		Text: "Counts client_id as body authentication beside Basic.",
		Apply: func(b *behaviour) {
			b.after(stageAuthenticate, func(f *flow) *refusal {
				if f.method == "basic" && f.client != nil && f.param("client_id") == f.client.id {
					return refuse(twoAuthMethods, "client_id")
				}
				return nil
			})
		},
	},
	{
		Name: "client-auth.client-id-mismatch", Rule: "client-auth.client-id-mismatch",
		Text: "Issues the token to the client named in the body, whoever authenticated.",
		Apply: func(b *behaviour) {
			b.instead(atClientID, func(f *flow, standard func() *refusal) *refusal {
				if r := standard(); r == nil || !atToken(f) || f.method != "basic" {
					return r
				}
				if named := f.b.lookupClient(f, f.cred.bodyID); named != nil && !named.public && named.grants == nil {
					f.client = named
				}
				return nil
			})
		},
	},
	{
		Name: "client-auth.credentials-in-query", Rule: "client-auth.credentials-in-query",
		Text: "Reads client credentials, and only these, from the query.",
		Apply: func(b *behaviour) {
			std := b.fromQuery
			b.fromQuery = func(f *flow, name string) bool {
				return std(f, name) || atToken(f) && slices.Contains([]string{"client_id", "client_secret"}, f.e.dialect.part(name))
			}
		},
	},
	{
		Name: "client-auth.secret-strength", Rule: "client-auth.secret-strength",
		Text:  "The server hands out a secret of eight digits.",
		Setup: Setup{Prepare: func(c *contract.Contract) { c.Client.Secret, c.Client.SecretBy = "48151623", "server" }},
		Apply: func(*behaviour) {},
	},
	{
		Name: "client-auth.secret-strength/repeated", Rule: "client-auth.secret-strength",
		Text: "The server hands out a long secret of one repeated character.",
		Setup: Setup{Prepare: func(c *contract.Contract) {
			c.Client.Secret, c.Client.SecretBy = strings.Repeat("a", 40), "server"
		}},
		Apply: func(*behaviour) {},
	},
}

// atToken holds at the token endpoint.
func atToken(f *flow) bool { return f.endpoint == tokenEndpoint }

// withoutMethod takes one authentication method from the token endpoint.
func withoutMethod(b *behaviour, method string) {
	std := b.methodFor
	b.methodFor = func(f *flow, c *client, m string) bool {
		return std(f, c, m) && !(m == method && atToken(f))
	}
}

// nearSecret accepts secrets that are only nearly right: no longer than one character
// more than the secret, and without control characters.
func nearSecret(b *behaviour, near func(secret, presented string) bool) {
	std := b.secretMatches
	b.secretMatches = func(f *flow, c *client, presented string) bool {
		if std(f, c, presented) {
			return true
		}
		plain := atToken(f) && presented != "" && len(presented) <= len(c.secret)+1 && !strings.ContainsRune(presented, 0)
		return plain && len(c.secret) >= 8 && near(c.secret, presented)
	}
}

// agree says whether Basic and body present the same secret.
func (f *flow) agree() bool {
	return slices.Contains(f.b.basicDecode(f, f.cred.rawSecret), f.cred.bodySecret)
}
