package suites

import (
	"fmt"
	"path"
	"slices"
	"sort"
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
	names := make([]string, 0, len(rules))
	for _, r := range rules {
		if ok, _ := path.Match(pattern, name(r)); ok {
			return nil
		}
		names = append(names, name(r))
	}
	return fmt.Errorf("--%s %q matches nothing; did you mean %q? grantcheck rules lists them all", what, pattern, Nearest(pattern, names))
}

// Nearest returns the name with the smallest edit distance to word, "" when there is none.
func Nearest(word string, names []string) string {
	names = slices.Compact(slices.Sorted(slices.Values(names)))
	sort.SliceStable(names, func(i, j int) bool { return editDistance(word, names[i]) < editDistance(word, names[j]) })
	if len(names) == 0 {
		return ""
	}
	return names[0]
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
