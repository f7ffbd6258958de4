package report

// A Diff is what changed between two runs.
type Diff struct {
	NewlyFailing    []Change `json:"newly_failing"`
	Fixed           []Change `json:"fixed"`
	NoLongerChecked []Change `json:"no_longer_checked"`
}

type Change struct {
	Rule     string `json:"rule"`
	Contract string `json:"contract,omitempty"`
}

func ids(changes []Change) (out []string) {
	for _, c := range changes {
		out = append(out, c.Rule)
	}
	return out
}

// Compare lists what changed from one run to a later one.
func Compare(old, now *Run) *Diff {
	return &Diff{}
}
