package emulator

import (
	"fmt"
	"slices"
	"strings"

	"grantcheck/suites/contract"
)

// Fault is one small change to the emulator that breaks exactly the rule it is named
// after: Name is Rule, or Rule/variant where a rule can be broken in several ways.
type Fault struct {
	Name string
	Rule string
	Text string // what the server does wrong, one sentence
	// Also names further rules that this fault turns by its nature; say why beside it.
	Also  []string
	Setup Setup
	Apply func(*behaviour)
}

// Variation is one small change to the emulator that is legitimate: every verdict stays at pass.
type Variation struct {
	Name  string
	Text  string // what the server does differently, and why it may
	Setup Setup
	Apply func(*behaviour)
}

// Setup is what a fault or a variation needs around it to show. New arranges it, in the
// emulator and in the contract that Contract hands out alike.
type Setup struct {
	// Contract is the shipped contract on which it shows; empty: standard.
	Contract string
	// Edition in which it shows, if not the contract's.
	Edition string
	// Prepare edits the bound contract, served and judged. It runs before clients and keys are made.
	Prepare func(c *contract.Contract)
	// Judge edits only the contract handed out by Emulator.Contract.
	Judge func(c *contract.Contract)
	// Options edits the options: TLS, limits …
	Options func(o *Options)
}

// Faults lists every fault: by group in the order of the catalogue, then as written.
func Faults() []Fault {
	return slices.Concat(
		transportFaults,
		requestFaults,
		clientAuthFaults,
		clientCredentialsFaults,
		passwordFaults,
		authorizationCodeFaults,
		pkceFaults,
		refreshFaults,
		jwtClientAuthFaults,
		jwtBearerFaults,
		responseFaults,
		errorFaults,
		headersFaults,
		tokenFormatFaults,
		bearerUseFaults,
		throttlingFaults,
		metadataFaults,
		revocationFaults,
		introspectionFaults,
		robustnessFaults,
		hygieneFaults,
		pageFaults,
		documentedFaults,
	)
}

// Variations lists every variation.
func Variations() []Variation {
	return slices.Concat(
		variations,
		requestVariations,
		assertionVariations,
		responseVariations, tokenFormatVariations, errorVariations, throttlingVariations, publishedVariations, hygieneVariations, documentedVariations,
	)
}

// FaultNamed finds a fault.
func FaultNamed(name string) (Fault, bool) {
	for _, f := range Faults() {
		if f.Name == name {
			return f, true
		}
	}
	return Fault{}, false
}

// VariationNamed finds a variation.
func VariationNamed(name string) (Variation, bool) {
	for _, v := range Variations() {
		if v.Name == name {
			return v, true
		}
	}
	return Variation{}, false
}

// change is what faults and variations have in common.
type change struct {
	setup Setup
	apply func(*behaviour)
}

// changes finds what the options ask for by name.
func (o *Options) changes() ([]change, error) {
	var out []change
	for _, name := range o.Faults {
		f, ok := FaultNamed(name)
		if !ok {
			var names []string
			for _, f := range Faults() {
				names = append(names, f.Name)
			}
			return nil, fmt.Errorf("no fault %q%s", name, near(name, names))
		}
		out = append(out, change{f.Setup, f.Apply})
	}
	for _, name := range o.Variations {
		v, ok := VariationNamed(name)
		if !ok {
			var names []string
			for _, v := range Variations() {
				names = append(names, v.Name)
			}
			return nil, fmt.Errorf("no variation %q%s", name, near(name, names))
		}
		out = append(out, change{v.Setup, v.Apply})
	}
	return out, nil
}

// near suggests the known name that shares the longest beginning or a part with a mistyped one.
func near(name string, names []string) string {
	best, score := "", 2
	for _, n := range names {
		common := 0
		for common < len(n) && common < len(name) && n[common] == name[common] {
			common++
		}
		if _, tail, ok := strings.Cut(n, "."); ok && tail == name {
			common = len(n)
		}
		if common > score {
			best, score = n, common
		}
	}
	if best == "" {
		return "; serve --list-faults lists them"
	}
	return fmt.Sprintf("; did you mean %q?", best)
}
