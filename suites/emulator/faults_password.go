package emulator

import "strings"

// passwordFaults break the rules of the group password.
var passwordFaults = []Fault{
	{
		Name: "password.happy-path", Rule: "password.happy-path",
		Text: "Answers the valid request with 400 invalid_grant.",
		Apply: func(b *behaviour) {
			b.after(stageGrant, func(f *flow) *refusal {
				if f.grantIs(passwordGrant) {
					return refuse(wrongPassword)
				}
				return nil
			})
		},
	},
	{
		Name: "password.not-offered", Rule: "password.not-offered",
		Text:  "Processes the grant: invalid_grant for a made-up user shows that it is live.",
		Setup: Setup{Edition: "bcp"},
		Apply: func(b *behaviour) { b.offersPassword = true },
	},
	{
		Name: "password.not-offered/oauth21", Rule: "password.not-offered",
		Text:  "Processes the grant that OAuth 2.1 does not know.",
		Setup: Setup{Edition: "oauth21"},
		Apply: func(b *behaviour) { b.offersPassword = true },
	},
	{
		Name: "password.wrong-password-refused", Rule: "password.wrong-password-refused",
		Text: "Does not check the password of a user it knows.",
		Apply: func(b *behaviour) {
			b.skip(atPasswordMatch)
			b.skipIf(atGuesses, func(f *flow) bool { return f.user != nil })
		},
	},
	{
		Name: "password.unknown-user-refused", Rule: "password.unknown-user-refused",
		Text: "Unknown users are made on their first login.",
		Apply: func(b *behaviour) {
			std := b.lookupUser
			b.lookupUser = func(f *flow, name string) *user {
				if u := std(f, name); u != nil || f.endpoint != tokenEndpoint {
					return u
				}
				return &user{name: name, password: f.param("password"), sub: "user-" + name}
			}
		},
	},
	{
		Name: "password.invalid-grant-code", Rule: "password.invalid-grant-code",
		Text:  "Answers a wrong password with 400 invalid_client.",
		Apply: func(b *behaviour) { recodeLogin(b, 400, "invalid_client") },
	},
	{
		Name: "password.invalid-grant-code/status-403", Rule: "password.invalid-grant-code",
		Text:  "Answers a wrong password with 403 invalid_grant.",
		Also:  []string{"error.status-400"}, // which holds the same answer to the same status
		Apply: func(b *behaviour) { recodeLogin(b, 403, "") },
	},
	{
		Name: "password.invalid-grant-code/as-page-does-not-say", Rule: "password.invalid-grant-code",
		Text:  "Answers a wrong password with 400 invalid_grant, where the page insists on 403.",
		Setup: Setup{Contract: "semansys"},
		Also:  []string{"error.status-400"}, // named by the same deviation
		Apply: func(b *behaviour) { recodeLogin(b, 400, "invalid_grant") },
	},
	{
		Name: "password.missing-username", Rule: "password.missing-username",
		Text: "Logs in the user whose password matches, without a username.",
		Apply: func(b *behaviour) {
			b.instead(atUsername, func(f *flow, standard func() *refusal) *refusal {
				r := standard()
				if r == nil || f.param("password") == "" {
					return r
				}
				for _, u := range f.e.users {
					if equalSecret(u.password, f.param("password")) {
						f.user = u
						return nil
					}
				}
				return r
			})
		},
	},
	{
		Name: "password.missing-username/other-code", Rule: "password.missing-username",
		Text:  "Answers a missing username with 400 unauthorized_client.",
		Apply: func(b *behaviour) { recodeMissing(b, "username", "unauthorized_client") },
	},
	{
		Name: "password.missing-password", Rule: "password.missing-password",
		Text: "Skips the check of the password when the parameter is absent.",
		Apply: func(b *behaviour) {
			withoutPassword := func(f *flow) bool { return !f.sent("password") }
			b.skipIf(atPassword, withoutPassword)
			b.skipIf(atPasswordMatch, withoutPassword)
		},
	},
	{
		Name: "password.missing-password/other-code", Rule: "password.missing-password",
		Text:  "Answers a missing password with 400 unsupported_grant_type.",
		Apply: func(b *behaviour) { recodeMissing(b, "password", "unsupported_grant_type") },
	},
	{
		Name: "password.empty-password", Rule: "password.empty-password",
		Text: "An empty password is an anonymous bind to the directory, which succeeds.",
		Apply: func(b *behaviour) {
			emptyPassword := func(f *flow) bool { return f.sent("password") && f.param("password") == "" }
			b.skipIf(atPassword, emptyPassword)
			b.skipIf(atPasswordMatch, emptyPassword)
		},
	},
	{
		Name: "password.client-auth-enforced", Rule: "password.client-auth-enforced",
		Text: "Verifies the user's credentials alone.",
		Apply: func(b *behaviour) {
			b.skipIf(atSecret, func(f *flow) bool { return atToken(f) && f.grantIs(passwordGrant) })
		},
	},
	{
		Name: "password.utf8-credentials", Rule: "password.utf8-credentials",
		Text: "Decodes the body as Latin-1.",
		Apply: func(b *behaviour) {
			std := b.unescape
			b.unescape = func(f *flow, raw string) (string, error) {
				s, err := std(f, raw)
				if f.endpoint != tokenEndpoint || err != nil {
					return s, err
				}
				var out strings.Builder
				for i := range len(s) {
					out.WriteRune(rune(s[i]))
				}
				return out.String(), nil
			}
		},
	},
	{
		Name: "password.brute-force-protection", Rule: "password.brute-force-protection",
		Text: "Does not react, whatever the number of wrong passwords.",
		Apply: func(b *behaviour) {
			std := b.guesses
			b.guesses = func(f *flow, what string) int {
				if what == "password" {
					return 0
				}
				return std(f, what)
			}
		},
	},
}

// recodeLogin answers a wrong password otherwise, and an unknown user alike.
func recodeLogin(b *behaviour, status int, code string) {
	b.recode(wrongPassword, status, code)
	b.recode(unknownUser, status, code)
}

// recodeMissing answers a missing parameter of the password grant with another code.
func recodeMissing(b *behaviour, parameter, code string) {
	b.onRefusal(func(f *flow, r *refusal) {
		if r.Reason == missingParameter && r.Parameter == parameter && f.grantIs(passwordGrant) && !f.sent(parameter) {
			r.Code = code
		}
	})
}
