package suites

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// CatalogueVersion names the rule set. It changes when a rule is added, removed
// or judged differently, so that a changed verdict can be told from a changed endpoint.
const CatalogueVersion = "1"

// Rules returns the whole catalogue in reading order. The slice is the
// caller's; the rules in it are not to be changed.
func Rules() []Rule {
	return slices.Concat(
		transportRules, requestRules, clientAuthRules, clientCredentialsRules, passwordRules,
		authorizationCodeRules, pkceRules, refreshRules, jwtClientAuthRules, jwtBearerRules,
		responseRules, errorRules, headersRules, tokenFormatRules, bearerUseRules,
		throttlingRules, metadataRules, revocationRules, introspectionRules,
		robustnessRules, hygieneRules, documentedRules,
	)
}

// RuleNamed finds one rule by its id.
func RuleNamed(id string) (Rule, bool) {
	for _, r := range Rules() {
		if r.ID == id {
			return r, true
		}
	}
	return Rule{}, false
}

// Groups lists the groups in reading order.
func Groups() []string {
	var groups []string
	for _, r := range Rules() {
		if !slices.Contains(groups, r.Group) {
			groups = append(groups, r.Group)
		}
	}
	return groups
}

// Selection picks rules. Its zero value picks all.
type Selection struct {
	Rules   []string // globs over ids, as in path.Match
	Groups  []string // globs over group names
	Edition Edition  // 0: any
}

// Select returns the rules of the catalogue that s names, in reading order. A
// pattern that is malformed or matches nothing is an error that names the
// nearest rule or group.
func (s Selection) Select(rules []Rule) ([]Rule, error) {
	match := func(patterns []string, name string) bool {
		return slices.ContainsFunc(patterns, func(p string) bool { ok, _ := path.Match(p, name); return ok })
	}
	for _, p := range s.Rules {
		if err := matchesAny("rule", p, rules, func(r Rule) string { return r.ID }); err != nil {
			return nil, err
		}
	}
	for _, p := range s.Groups {
		if err := matchesAny("group", p, rules, func(r Rule) string { return r.Group }); err != nil {
			return nil, err
		}
	}
	var out []Rule
	for _, r := range rules {
		named := len(s.Rules) == 0 && len(s.Groups) == 0 || match(s.Rules, r.ID) || match(s.Groups, r.Group)
		if named && (s.Edition == 0 || r.Editions&s.Edition != 0) {
			out = append(out, r)
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("the selection matches no rule of edition %s; grantcheck rules lists them", strings.Join(s.Edition.Names(), ", "))
	}
	return out, nil
}

func matchesAny(what, pattern string, rules []Rule, name func(Rule) string) error {
	if _, err := path.Match(pattern, ""); err != nil {
		return fmt.Errorf("--%s %q: malformed pattern: * and ? stand for any characters, [ ] for a choice", what, pattern)
	}
	var names []string
	for _, r := range rules {
		n := name(r)
		if ok, _ := path.Match(pattern, n); ok {
			return nil
		}
		if area, _, dotted := strings.Cut(n, "."); dotted && strings.HasSuffix(pattern, "*") {
			n = area + ".*"
		}
		names = append(names, n)
	}
	return fmt.Errorf("--%s %q matches nothing that grantcheck rules lists%s", what, pattern, DidYouMean(pattern, names))
}

// DidYouMean suggests, in a clause to go behind an error, the name that a word
// was meant to be; "" when none is near. A name may go on where the word ends.
func DidYouMean(word string, names []string) string {
	best, least := "", 1+(len(word)+1)/2
	for _, n := range names {
		d := editDistance(word, n)
		if len(n) > len(word) {
			d = min(d, 1+editDistance(word, n[:len(word)]), 1+editDistance(word, n[:len(word)+1]))
		}
		if d < least {
			best, least = n, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %q?", best)
}

func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
