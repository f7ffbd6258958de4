package suites

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"grantcheck/report"
	"grantcheck/suites/contract"
)

// unlocks tells once, at the end of a run, which fixtures and consents would let more be judged.
func (s *session) unlocks(checks []report.Check) []report.Unlock {
	var out []report.Unlock
	add := func(kind report.ReasonKind, name, how, rule string) {
		i := slices.IndexFunc(out, func(u report.Unlock) bool { return u.Kind == kind && u.Name == name })
		if i < 0 {
			out = append(out, report.Unlock{Kind: kind, Name: name, How: how})
			i = len(out) - 1
		}
		out[i].Rules = append(out[i].Rules, rule)
	}
	for _, c := range checks {
		switch c.ReasonKind {
		case report.NeedsConsent:
			add(c.ReasonKind, "--allow "+c.Needs, "", c.Rule)
		case report.NeedsFixture:
			add(c.ReasonKind, c.Needs, s.how(c.Needs), c.Rule)
		case report.NotApplicable:
			if g, variables := s.absentGrant(c.Rule); g != "" {
				add(report.NeedsFixture, "the "+g+" grant", "set "+strings.Join(variables, ", "), c.Rule)
			}
		}
	}
	slices.SortStableFunc(out, func(a, b report.Unlock) int { return cmp.Compare(len(b.Rules), len(a.Rules)) })
	return out
}

// fixturePlaces tells where in a contract the fixtures stand that [Case.Needs] speaks of.
var fixturePlaces = []struct{ words, place string }{
	{"second client", "clients.second"},
	{"public client", "clients.public"},
	{"client without the grant", "clients.no_grant"},
	{"client whose secret needs encoding", "clients.special_secret"},
	{"more than 72 bytes", "clients.long_secret"},
	{"sacrificial client", "clients.sacrificial"},
	{"second user", "users.second"},
	{"user with a non-ASCII", "users.non_ascii"},
	{"sacrificial user", "users.sacrificial"},
	{"issuer identifier", "metadata.issuer"},
	{"resource beyond the scope", "resource.scoped"},
	{"introspection endpoint", "introspection"},
	{"revocation endpoint", "revocation"},
	{"protected resource", "resource"},
	{"grantable scope", "scopes.grantable"},
	{"forbidden scope", "scopes.forbidden"},
	{"redirect_uri", "client.redirect_uri"},
	{"authorization code", "grants.authorization_code.code"},
}

// how says what to do to have a fixture: set the variables that the contract
// has for it, or write it down.
func (s *session) how(needs string) string {
	var out []string
	for _, f := range fixturePlaces {
		if !strings.Contains(needs, f.words) {
			continue
		}
		i := slices.IndexFunc(s.cfg.Contract.Absent, func(a contract.Absent) bool { return a.Where == f.place })
		if i >= 0 {
			out = append(out, "set "+strings.Join(s.cfg.Contract.Absent[i].Variables, ", "))
		} else {
			out = append(out, fmt.Sprintf("put it under %s in the contract", f.place))
		}
	}
	return strings.Join(out, ", or ")
}

// absentGrant names a grant that a rule is about and that the run goes without, with the variables that would bring it.
func (s *session) absentGrant(rule string) (grant string, variables []string) {
	r, _ := RuleNamed(rule)
	for _, a := range s.cfg.Contract.Absent {
		key, ok := strings.CutPrefix(a.Where, "grants.")
		if !ok || strings.Contains(key, ".") || len(a.Variables) == 0 {
			continue
		}
		if len(r.Applies.Grants) == 1 && (r.Applies.Grants[0] == key || strings.HasSuffix(r.Applies.Grants[0], ":"+strings.ReplaceAll(key, "_", "-"))) {
			return key, a.Variables
		}
	}
	return "", nil
}
