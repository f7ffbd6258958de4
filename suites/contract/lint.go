package contract

// lint checks what no single key shows: names that must exist, values that must
// be there, rows that contradict each other.
func lint(c *Contract, opt Options) []Problem { return nil }
