package report

func Merge(runs []*Run, names []string) (*Run, error) {
	m := *runs[0]
	return &m, nil
}
