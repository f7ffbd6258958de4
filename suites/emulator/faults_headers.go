package emulator

// headersFaults break the rules of the group headers.
var headersFaults = []Fault{
	{
		Name: "headers.no-store", Rule: "headers.no-store",
		Text:  "Sends Cache-Control: private only.",
		Apply: func(b *behaviour) { tokenField(b, "Cache-Control", "private") },
	},
	{
		Name: "headers.no-store/no-cache", Rule: "headers.no-store",
		Text:  "Sends Cache-Control: no-cache, which allows to store.",
		Apply: func(b *behaviour) { tokenField(b, "Cache-Control", "no-cache, max-age=0") },
	},
	{
		Name: "headers.no-store/missing", Rule: "headers.no-store",
		Text:  "Sends no Cache-Control.",
		Apply: func(b *behaviour) { tokenField(b, "Cache-Control", "") },
	},
	{
		Name: "headers.no-store/refresh", Rule: "headers.no-store",
		Text: "Forgets Cache-Control where a token was refreshed.",
		Apply: func(b *behaviour) {
			b.onToken(func(f *flow, a *answer) {
				if f.grantIs(refreshGrant) {
					a.del("Cache-Control")
				}
			})
		},
	},
	{
		Name: "headers.pragma-no-cache", Rule: "headers.pragma-no-cache",
		Text:  "Omits Pragma.",
		Apply: func(b *behaviour) { tokenField(b, "Pragma", "") },
	},
	{
		Name: "headers.pragma-no-cache/public", Rule: "headers.pragma-no-cache",
		Text:  "Sends Pragma: public.",
		Apply: func(b *behaviour) { tokenField(b, "Pragma", "public") },
	},
	{
		Name: "headers.no-token-cookie", Rule: "headers.no-token-cookie",
		Text: "Sets the access token as a cookie without Secure.",
		Apply: func(b *behaviour) {
			b.onToken(func(f *flow, a *answer) { a.add("Set-Cookie", "token="+f.issue.AccessToken+"; Path=/; HttpOnly") })
		},
	},
	{
		Name: "headers.error-not-cacheable", Rule: "headers.error-not-cacheable",
		Text: "Errors carry Cache-Control: public, max-age=300.",
		Apply: func(b *behaviour) {
			b.onError(func(f *flow, a *answer) {
				if f.refusal.Reason != rateLimited && f.refusal.Reason != guessLimited {
					a.set("Cache-Control", "public, max-age=300")
				}
			})
		},
	},
	{
		Name: "headers.error-not-cacheable/shared", Rule: "headers.error-not-cacheable",
		Text: "Errors carry Cache-Control: s-maxage=60.",
		Apply: func(b *behaviour) {
			b.onError(func(f *flow, a *answer) {
				if f.refusal.Reason != rateLimited && f.refusal.Reason != guessLimited {
					a.set("Cache-Control", "s-maxage=60")
				}
			})
		},
	},
}
