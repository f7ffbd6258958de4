// Package suites judges an OAuth 2.0 token endpoint: the rules, the cases they
// are checked in, the engine that runs them, and the Ginkgo suite they become.
//
// Two doors lead in: [Run] for programs and plain Go tests, [Register] for a
// Ginkgo suite of the caller's own.
package suites

import "slices"

// Level is the requirement word of the clause a rule rests on (RFC 2119), also
// where the clause binds the client.
type Level string

// Doc marks vendor documentation; NoLevel a good custom that no clause demands.
const (
	Must      Level = "MUST"
	MustNot   Level = "MUST NOT"
	Should    Level = "SHOULD"
	ShouldNot Level = "SHOULD NOT"
	May       Level = "MAY"
	NoLevel   Level = "NONE"
	Doc       Level = "DOC"
)

// Wording tells how the clause says it.
type Wording string

const (
	Keyword    Wording = "keyword"    // the clause uses the requirement word
	Derived    Wording = "derived"    // the clause states it as fact, by definition or by reference
	Documented Wording = "documented" // the vendor's page says it
	Practice   Wording = "practice"   // good custom; never asserted
)

// Posture is our verdict policy, kept apart from the level on purpose.
type Posture string

const (
	Assert  Posture = "assert"  // a violation fails
	Advise  Posture = "advise"  // a violation warns, and fails in strict mode
	Observe Posture = "observe" // a violation is a remark
)

// Edition is a body of standards, as a bit so that a rule can name several.
type Edition uint8

const (
	OAuth20 Edition = 1 << iota // RFC 6749, RFC 6750 and their extensions
	BCP                         // adds RFC 9700
	OAuth21                     // draft-ietf-oauth-v2-1

	AllEditions = OAuth20 | BCP | OAuth21
)

// EditionNamed reads the spelling of flags and contracts; ok is false for any other.
func EditionNamed(name string) (e Edition, ok bool) {
	i := slices.Index(editionNames, name)
	if i < 0 {
		return 0, false
	}
	return 1 << i, true
}

var editionNames = []string{"oauth20", "bcp", "oauth21"}

// Names lists the editions in e, oldest first.
func (e Edition) Names() []string {
	var names []string
	for i, n := range editionNames {
		if e&(1<<i) != 0 {
			names = append(names, n)
		}
	}
	return names
}

// Effect is what a probe does to the endpoint or its fixtures beyond asking.
// Effects outside the contract's safety.allow need consent for the run.
type Effect string

const (
	MintsToken           Effect = "mints-token"
	MintsMany            Effect = "mints-many"
	BadClientCredentials Effect = "bad-client-credentials"
	BadUserCredentials   Effect = "bad-user-credentials"
	LockoutRisk          Effect = "lockout-risk"
	LeaksToLogs          Effect = "leaks-to-logs"
	ConsumesCode         Effect = "consumes-code"
	ConsumesRefresh      Effect = "consumes-refresh"
	Revokes              Effect = "revokes"
	MayRevoke            Effect = "may-revoke"
	Burst                Effect = "burst"
	Slow                 Effect = "slow"
)

// Effects lists every effect in the order of growing intrusion.
var Effects = []Effect{
	MintsToken, BadClientCredentials, ConsumesCode, ConsumesRefresh, LeaksToLogs, MayRevoke, Revokes,
	BadUserCredentials, MintsMany, Burst, Slow, LockoutRisk,
}

// Applies narrows a rule to grants and client authentication methods; empty
// lists mean any. When says in words what else has to hold; the check itself
// calls [Case.NotApplicable] or [Case.Needs] where it does not.
type Applies struct {
	Grants []string // grant_type values
	Auth   []string // basic, post, jwt, none
	When   string
}

// Rule is one requirement: facts, and one function that checks it. The function
// does not know who runs it.
type Rule struct {
	ID       string // area.name, stable
	Title    string // what a conforming endpoint does
	Group    string
	Level    Level
	Wording  Wording
	Binds    string // server, client, both, resource-server or operator
	Posture  Posture
	Source   string // document and section
	Editions Edition
	Summary  string // what the clause says, in our words
	Why      string // what can go wrong for people
	Applies  Applies
	Requires []string // rules that must have passed first
	Probe    string   // what is sent
	Expect   string   // what passes
	// StrictExpect is the narrower reading of strict mode; see [Case.Strict].
	StrictExpect string
	Tolerates    []string // legitimate variations
	Fault        string   // the one defect that must turn this rule
	Effects      []Effect
	// AsksItself leaves the consent to the check, which may decide without a probe: see
	// [Case.NeedsConsent].
	AsksItself bool

	// Provokes names the contract conditions (wrong_secret, bad_code, ...) that
	// the rule's negative probes bring about, so that the error rows of the page
	// can be held beside the answer.
	Provokes []string
	// Passive rules send nothing: they look at the answers to other probes, and
	// are looked at again when the run is over.
	Passive bool
	// Alone keeps every other rule quiet while this one runs: it counts, races or
	// may lock somebody out.
	Alone bool

	Check func(*Case)
}
