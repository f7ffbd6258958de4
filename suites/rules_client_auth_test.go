package suites

import "testing"

func TestSecretBits(t *testing.T) {
	for secret, want := range map[string]struct{ atLeast, below float64 }{
		"48151623": {20, 30},
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa":    {0, 1},
		"ababababababababababababababababababab":      {30, 40},
		"8f14e45fceea167a5a36dedd4bea2543":            {127, 129},
		"0b1f2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d":        {122, 123},
		"dGhpcyBpcyBub3QgYSBzZWNyZXQgYXQgYWxsISE9PQ":  {200, 300},
		"correct horse battery staple, said the mule": {200, 300},
		"": {0, 1},
	} {
		if got := secretBits(secret); got < want.atLeast || got >= want.below {
			t.Errorf("%q: %.1f bits, want %.0f to %.0f", secret, got, want.atLeast, want.below)
		}
	}
}

func TestSpellings(t *testing.T) {
	for name, want := range map[string]string{"grant_type": "Grant_Type", "grantType": "GrantType", "GRANT": "grant", "42": "42", "Grant_Type": "GRANT_TYPE", "type": "Type"} {
		if got := otherCase(name); got != want {
			t.Errorf("otherCase(%q) = %q, want %q", name, got, want)
		}
	}
	for _, c := range []struct {
		text       string
		underscore bool
		want       string
	}{
		{"client_credentials", true, "client%5Fcredentials"},
		{"grant_type", false, "grant_typ%65"},
		{"password", true, "passwor%64"},
		{"urn%3Aietf%3Aparams", true, "urn%3Aietf%3Aparam%73"},
		{"42", true, "42"},
		{"1%3A", true, "1%3A"},
	} {
		if got := encodeOne(c.text, c.underscore); got != c.want {
			t.Errorf("encodeOne(%q) = %q, want %q", c.text, got, c.want)
		}
	}
}
