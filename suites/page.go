package suites

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"grantcheck/suites/contract"
)

// What the page says about an answer: its error rows and its deviations.

// statusFits reports whether status is one of patterns: "400" or a class like "4xx".
func statusFits(patterns []string, status int) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		return p == strconv.Itoa(status) || len(p) == 3 && strings.EqualFold(p[1:], "xx") && int(p[0]-'0') == status/100
	})
}

// codeFits reports whether code is one of documented codes, which may be numbers.
func codeFits(codes []any, code string) bool {
	return slices.ContainsFunc(codes, func(c any) bool { return fmt.Sprint(c) == code })
}

// situation is what a probe brought about: the conditions of the contract
// format, the grant it was sent for and the parameter it was about.
type situation struct {
	conditions []string
	grant      string // key in the contract
	parameter  string
}

// rowsFor returns the rows of the page's error table for a situation. Rows
// restricted to the grant or parameter at hand displace the general ones.
func rowsFor(c *contract.Contract, at situation) []contract.ErrorRow {
	var general, special []contract.ErrorRow
	for _, row := range c.Errors {
		row.Code = codesOf(row)
		if !slices.ContainsFunc(row.When, func(w string) bool { return slices.Contains(at.conditions, w) }) {
			continue
		}
		if len(row.Grants) > 0 && !slices.Contains(row.Grants, at.grant) ||
			len(row.Parameters) > 0 && !slices.Contains(row.Parameters, at.parameter) {
			continue
		}
		if len(row.Grants) > 0 || len(row.Parameters) > 0 {
			special = append(special, row)
		} else {
			general = append(general, row)
		}
	}
	if len(special) > 0 {
		return special
	}
	return general
}

// codesOf returns the error codes of a row: also where it states one as the member that plays error.
func codesOf(row contract.ErrorRow) []any {
	if len(row.Code) > 0 {
		return row.Code
	}
	if f, ok := contract.FieldFor(row.Fields, "error"); ok && f.Const != nil {
		return []any{f.Const}
	}
	return nil
}

// rowFits reports whether an answer is what a row documents; what the row
// leaves out fits anything. A row that names neither status nor code fits nothing.
func rowFits(row contract.ErrorRow, status int, code string) bool {
	if len(row.Status) == 0 && len(row.Code) == 0 {
		return false
	}
	return (len(row.Status) == 0 || statusFits(row.Status, status)) && (len(row.Code) == 0 || codeFits(row.Code, code))
}

// outcomeFits is rowFits for the outcome of a deviation. An outcome in words fits nothing.
func outcomeFits(o contract.Outcome, status int, code string) bool {
	return rowFits(contract.ErrorRow{Status: o.Status, Code: o.Code}, status, code)
}

// inWords says what an outcome expects.
func inWords(o contract.Outcome) string {
	if o.Text != "" {
		return o.Text
	}
	return rowInWords(contract.ErrorRow{Status: o.Status, Code: o.Code})
}

func rowInWords(row contract.ErrorRow) string {
	var parts []string
	if len(row.Status) > 0 {
		parts = append(parts, strings.Join(row.Status, " or "))
	}
	if len(row.Code) > 0 {
		codes := make([]string, len(row.Code))
		for i, c := range row.Code {
			codes[i] = fmt.Sprint(c)
		}
		parts = append(parts, strings.Join(codes, " or "))
	}
	return strings.Join(parts, " ")
}

// deviationFor returns the entry of the contract that names rule, and whether
// rule stands first in it: the rule whose probe the entry describes.
func deviationFor(c *contract.Contract, rule string) (d *contract.Deviation, first bool) {
	for i := range c.Deviations {
		if at := slices.Index(c.Deviations[i].Rules, rule); at >= 0 {
			return &c.Deviations[i], at == 0
		}
	}
	return nil, false
}
