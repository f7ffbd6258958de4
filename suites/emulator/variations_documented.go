package emulator

import (
	"strings"
	"time"
)

// documentedVariations are what the pages of vendors leave room for.
var documentedVariations = []Variation{
	{
		Name:  "documented-token-type-letter-case",
		Text:  "The page fixes token_type to Bearer, and bearer comes: only an exact field goes by letter case.",
		Setup: Setup{Contract: "appsecplus"},
		Apply: func(b *behaviour) { b.onToken(func(f *flow, a *answer) { retype(a, strings.ToLower) }) },
	},
	{
		Name:  "documented-lifetime-nearly",
		Text:  "The page says typically 3600 seconds, and 3540 are left.",
		Setup: Setup{Contract: "appsecplus"},
		Apply: func(b *behaviour) { lifetime(b, 3540*time.Second, 3540*time.Second) },
	},
	{
		Name:  "documented-missing-secret",
		Text:  "A missing secret falls under the row for missing parameters: 400 invalid_request.",
		Setup: Setup{Contract: "appsecplus"},
		Apply: func(b *behaviour) { b.recode(missingClientAuth, 400, "invalid_request") },
	},
	{
		Name:  "documented-missing-secret-401",
		Text:  "A missing secret falls under the row for wrong credentials: 401 invalid_client.",
		Setup: Setup{Contract: "appsecplus"},
		Apply: func(b *behaviour) { b.recode(missingClientAuth, 401, "invalid_client") },
	},
	{
		Name:  "documented-unknown-grant",
		Text:  "Another grant type is an invalid parameter, as the page has it: the contract allows either code.",
		Setup: Setup{Contract: "appsecplus"},
		Apply: func(b *behaviour) { b.recode(unknownGrant, 400, "invalid_request") },
	},
}
