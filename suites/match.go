package suites

import (
	"fmt"
	"slices"
	"strings"

	"github.com/onsi/gomega/types"
)

// Matchers in the language of OAuth. Each takes a *Sample and says what it
// expected and what came, in words that stand in a report.

// aspect is what of an answer a matcher is about; the page's error rows speak of status and code only.
type aspect int

const (
	aboutForm   aspect = iota
	aboutStatus        // the status code
	aboutCode          // the error code
	aboutAnswer        // accepted or refused
)

// answerMatcher is a Gomega matcher over a *Sample.
type answerMatcher struct {
	about    aspect
	expected string
	came     func(*Sample) string // nil: Sample.Came
	match    func(*Sample) bool
}

var _ types.GomegaMatcher = answerMatcher{}

func (m answerMatcher) Match(actual any) (bool, error) {
	s, ok := actual.(*Sample)
	if !ok || s == nil {
		return false, fmt.Errorf("this matcher takes an answered request, not %T", actual)
	}
	return m.match(s), nil
}

// The message carries expected and came apart for the failure handler of a Case.
const cameMark = "\n\x1ecame: "

func (m answerMatcher) FailureMessage(actual any) string {
	return m.expected + cameMark + m.cameFrom(actual.(*Sample))
}

func (m answerMatcher) NegatedFailureMessage(actual any) string {
	return "not: " + m.expected + cameMark + m.cameFrom(actual.(*Sample))
}

func (m answerMatcher) cameFrom(s *Sample) string {
	if m.came == nil {
		return s.Came()
	}
	return m.came(s)
}

// BeTokenResponse succeeds for a 2xx with an access token, however it is wrapped: `ok` in the
// catalogue's terms.
func BeTokenResponse() types.GomegaMatcher {
	return answerMatcher{about: aboutAnswer, expected: "a token", match: func(s *Sample) bool { return s.Answer.OK() }}
}

// BeRefused succeeds for an answer that is no token: `refused` in the catalogue's terms. A 5xx is
// neither.
func BeRefused() types.GomegaMatcher {
	return answerMatcher{about: aboutAnswer, expected: "a refusal", match: func(s *Sample) bool { return s.Answer.Refused() }}
}

// HaveStatus succeeds for one of these status codes.
func HaveStatus(codes ...int) types.GomegaMatcher {
	return answerMatcher{
		about: aboutStatus, expected: "status " + orList(codes),
		match: func(s *Sample) bool { return slices.Contains(codes, s.Status) },
	}
}

// HaveErrorCode succeeds when the member that plays `error` is one of these codes. An answer
// without a readable code is not judged by it: [Case.Expect] blocks the rule then.
func HaveErrorCode(codes ...string) types.GomegaMatcher {
	return answerMatcher{
		about: aboutCode, expected: "error " + orList(codes),
		match: func(s *Sample) bool { return slices.Contains(codes, s.Code()) },
	}
}

// HaveMediaType succeeds when the Content-Type names this media type, whatever its case and parameters.
func HaveMediaType(want string) types.GomegaMatcher {
	return answerMatcher{
		expected: "media type " + want,
		came:     func(s *Sample) string { return fieldLines(s, "Content-Type") },
		match:    func(s *Sample) bool { return s.MediaType() == want },
	}
}

// BeUncacheable succeeds when Cache-Control carries no-store (RFC 6749 §5.1).
func BeUncacheable() types.GomegaMatcher {
	return answerMatcher{
		expected: "Cache-Control: no-store",
		came:     func(s *Sample) string { return fieldLines(s, "Cache-Control") },
		match:    func(s *Sample) bool { _, ok := s.Directives("Cache-Control")["no-store"]; return ok },
	}
}

// fieldLines says what an answer has of a header field.
func fieldLines(s *Sample, field string) string {
	lines := s.Header.Values(field)
	if len(lines) == 0 {
		return "no " + field
	}
	return field + ": " + strings.Join(lines, ", ")
}

// satisfy is for a rule's own condition: expected in words, came in words, and whether it holds.
func satisfy(expected string, holds func(*Sample) (came string, ok bool)) types.GomegaMatcher {
	return answerMatcher{
		expected: expected,
		came:     func(s *Sample) string { came, _ := holds(s); return came },
		match:    func(s *Sample) bool { _, ok := holds(s); return ok },
	}
}

func orList[T any](items []T) string {
	words := make([]string, len(items))
	for i, it := range items {
		words[i] = fmt.Sprint(it)
	}
	if len(words) > 1 {
		return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
	}
	return strings.Join(words, "")
}
