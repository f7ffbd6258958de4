package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"grantcheck/report"
	"grantcheck/suites"
	"grantcheck/suites/emulator"
)

type rulesFlags struct {
	rules, groups  []string
	edition        string
	level, posture string
	specs          *[]string
}

func newRules() *cobra.Command {
	var f rulesFlags
	cmd := &cobra.Command{
		Use:   "rules [RULE]",
		Short: "List the rules, or explain one",
		Long: `List the rules by group, or explain one: what the clause asks, what is sent, what passes, what is
tolerated, and the fault that proves that the rule can fail.`,
		Example: `  grantcheck rules request.unknown-grant-type
  grantcheck rules --group pkce --level MUST
  grantcheck rules --edition bcp                          # and how the editions differ
  grantcheck rules -o html=rules.html`,
		Args: cobra.MaximumNArgs(1),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
			return ruleCompletions(), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args) },
	}
	fs := cmd.Flags()
	fs.StringArrayVar(&f.rules, "rule", nil, "only rules whose id matches the glob `PATTERN` (repeatable)")
	fs.StringArrayVar(&f.groups, "group", nil, "only groups whose name matches the glob `NAME` (repeatable)")
	completeRules(cmd)
	oneOf(cmd, &f.edition, "edition", "only rules of an edition, and how the editions differ", suites.AllEditions.Names()...)
	oneOf(cmd, &f.level, "level", "only rules of a level", "MUST", "MUST NOT", "SHOULD", "SHOULD NOT", "MAY", "NONE", "DOC")
	oneOf(cmd, &f.posture, "posture", "only rules that a violation of fails, warns or remarks", "assert", "advise", "observe")
	f.specs = outputFlag(cmd, ruleForms...)
	return cmd
}

// completeRules completes the flags --rule and --group.
func completeRules(cmd *cobra.Command) {
	for flag, values := range map[string][]cobra.Completion{"rule": ruleCompletions(), "group": suites.Groups()} {
		complete(cmd, flag, values...)
	}
}

func ruleCompletions() (out []cobra.Completion) {
	for _, r := range suites.Rules() {
		out = append(out, cobra.CompletionWithDesc(r.ID, r.Title))
	}
	return out
}

func (f *rulesFlags) run(cmd *cobra.Command, args []string) error {
	to, err := outputs(*f.specs, findRuleForm, deflt(*f.specs))
	if err != nil {
		return err
	}
	doc := ruleDoc{Catalogue: suites.CatalogueVersion}
	switch {
	case len(args) == 1:
		r, ok := suites.RuleNamed(args[0])
		if !ok {
			return usage("no rule %q that grantcheck rules lists%s", args[0], suites.DidYouMean(args[0], ruleIDs()))
		}
		doc.rules, doc.explain = []suites.Rule{r}, true
	default:
		sel := suites.Selection{Rules: f.rules, Groups: f.groups}
		sel.Edition, _ = suites.EditionNamed(f.edition)
		if doc.rules, err = sel.Select(suites.Rules()); err != nil {
			return usage("%w", err)
		}
		doc.rules = slices.DeleteFunc(doc.rules, func(r suites.Rule) bool {
			return f.level != "" && string(r.Level) != f.level || f.posture != "" && string(r.Posture) != f.posture
		})
		if len(doc.rules) == 0 {
			return usage("no rule has all of that; grantcheck rules lists them all")
		}
		if f.edition != "" {
			doc.differ = f.differences()
		}
	}
	return write(cmd, to, false, func(f form[ruleDoc], w io.Writer, s report.Style) error { return f.write(doc, w, s) })
}

func ruleIDs() (out []string) {
	for _, r := range suites.Rules() {
		out = append(out, r.ID)
	}
	return out
}

// differences are the rules of the groups and patterns asked for that some edition does not have.
func (f *rulesFlags) differences() (out []suites.Rule) {
	all, err := suites.Selection{Rules: f.rules, Groups: f.groups}.Select(suites.Rules())
	if err != nil {
		return nil
	}
	for _, r := range all {
		if r.Editions != suites.AllEditions {
			out = append(out, r)
		}
	}
	return out
}

// A ruleDoc is what the forms of rules are made from.
type ruleDoc struct {
	Catalogue string
	rules     []suites.Rule
	differ    []suites.Rule // between the editions; nil when not asked
	explain   bool          // one rule, in full
}

var findRuleForm, ruleForms = finder([]form[ruleDoc]{
	{"table", func(d ruleDoc, w io.Writer, s report.Style) error { return d.writeTable(w, s) }},
	{"json", func(d ruleDoc, w io.Writer, _ report.Style) error { return d.writeJSON(w) }},
	{"markdown", func(d ruleDoc, w io.Writer, _ report.Style) error { return d.writeMarkdown(w) }},
	{"html", func(d ruleDoc, w io.Writer, _ report.Style) error { return d.writeHTML(w) }},
})

// facts are a rule as programs read it.
type facts struct {
	ID       string   `json:"id"`
	Title    string   `json:"title"`
	Group    string   `json:"group"`
	Level    string   `json:"level"`
	Posture  string   `json:"posture"`
	Editions []string `json:"editions"`
	Source   string   `json:"source"`
	Why      string   `json:"why"`
	Requires []string `json:"requires"`
	Effects  []string `json:"effects"`
	Faults   []string `json:"faults"`
}

func (d ruleDoc) writeJSON(w io.Writer) error {
	faults := faultsByRule()
	out := []facts{}
	for _, r := range d.rules {
		f := facts{
			ID: r.ID, Title: r.Title, Group: r.Group, Level: string(r.Level), Posture: string(r.Posture), Editions: r.Editions.Names(),
			Source: r.Source, Why: r.Why, Requires: append([]string{}, r.Requires...), Effects: []string{}, Faults: []string{},
		}
		for _, e := range r.Effects {
			f.Effects = append(f.Effects, string(e))
		}
		for _, x := range faults[r.ID] {
			f.Faults = append(f.Faults, x.Name)
		}
		out = append(out, f)
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(out)
}

func faultsByRule() map[string][]emulator.Fault {
	out := map[string][]emulator.Fault{}
	for _, f := range emulator.Faults() {
		out[f.Rule] = append(out[f.Rule], f)
	}
	return out
}

func (d ruleDoc) writeTable(w io.Writer, s report.Style) error {
	width := s.Width
	if width == 0 {
		width = 100
	}
	if d.explain {
		return d.writeExplanation(w, d.rules[0], width)
	}
	var b strings.Builder
	for _, g := range d.groups() {
		fmt.Fprintf(&b, "%s (%d)\n", g.Name, len(g.Rules))
		column := 0
		for _, r := range g.Rules {
			column = max(column, len(r.ID))
		}
		for _, r := range g.Rules {
			head := fmt.Sprintf("  %-*s  %-10s  %-7s  ", column, r.ID, r.Level, r.Posture)
			for i, l := range wrap(r.Title, max(30, width-len(head))) {
				if i > 0 {
					head = strings.Repeat(" ", len(head))
				}
				fmt.Fprintf(&b, "%s%s\n", head, l)
			}
		}
		b.WriteByte('\n')
	}
	d.writeDifferences(&b)
	fmt.Fprintf(&b, "%d rules; grantcheck rules RULE explains one\n", len(d.rules))
	_, err := io.WriteString(w, b.String())
	return err
}

func (d ruleDoc) writeDifferences(b *strings.Builder) {
	if len(d.differ) == 0 {
		return
	}
	column := 0
	for _, r := range d.differ {
		column = max(column, len(r.ID))
	}
	names := suites.AllEditions.Names()
	fmt.Fprintf(b, "Where the editions differ\n  %-*s  %s\n", column, "", strings.Join(names, "  "))
	for _, r := range d.differ {
		fmt.Fprintf(b, "  %-*s", column, r.ID)
		for _, n := range names {
			mark := "-"
			if slices.Contains(r.Editions.Names(), n) {
				mark = "x"
			}
			fmt.Fprintf(b, "  %-*s", len(n), mark)
		}
		b.WriteByte('\n')
	}
	b.WriteByte('\n')
}

// A ruleGroup is a group of rules as a document has it.
type ruleGroup struct {
	Name  string
	Rules []suites.Rule
}

func (d ruleDoc) groups() (out []ruleGroup) {
	for _, r := range d.rules {
		if len(out) == 0 || out[len(out)-1].Name != r.Group {
			out = append(out, ruleGroup{Name: r.Group})
		}
		g := &out[len(out)-1]
		g.Rules = append(g.Rules, r)
	}
	return out
}

func (d ruleDoc) writeExplanation(w io.Writer, r suites.Rule, width int) error {
	var b strings.Builder
	b.WriteString(r.ID + "\n")
	for _, l := range wrap(r.Title, width) {
		b.WriteString(l + "\n")
	}
	b.WriteByte('\n')
	const column = 13
	for _, f := range explain(r) {
		for i, value := range f.Values {
			name := f.Name
			if i > 0 {
				name = ""
			}
			for j, l := range wrap(value, width-column) {
				if j > 0 {
					name = ""
				}
				fmt.Fprintf(&b, "%-*s%s\n", column, name, l)
			}
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// A fact is one thing to say about a rule, under its name.
type fact struct {
	Name   string
	Values []string
}

// explain says everything about a rule, in the order in which a person asks.
func explain(r suites.Rule) (out []fact) {
	add := func(name string, values ...string) {
		values = slices.DeleteFunc(values, func(v string) bool { return strings.TrimSpace(v) == "" })
		if len(values) > 0 {
			out = append(out, fact{name, values})
		}
	}
	clause := r.Source
	switch {
	case r.Level == suites.Doc:
		clause = "the vendor's documentation"
	case r.Level == suites.NoLevel || r.Wording == suites.Practice:
		clause += " (good practice, no requirement)"
	case r.Wording == suites.Derived:
		clause += fmt.Sprintf(" states it (%s)", r.Level)
	default:
		clause += fmt.Sprintf(" (%s)", r.Level)
	}
	add("clause", clause)
	add("requirement", r.Summary)
	add("why", r.Why)
	add("probe", r.Probe)
	add("passes", r.Expect)
	add("strict", r.StrictExpect)
	add("tolerated", r.Tolerates...)
	add("applies to", strings.Join(r.Applies.Grants, ", "), strings.Join(r.Applies.Auth, ", "), r.Applies.When)
	add("posture", map[suites.Posture]string{
		suites.Assert:  "assert: a violation fails",
		suites.Advise:  "advise: a violation warns, and fails with --strict",
		suites.Observe: "observe: a violation is a remark",
	}[r.Posture])
	add("editions", strings.Join(r.Editions.Names(), ", "))
	var effects []string
	for _, e := range r.Effects {
		effects = append(effects, string(e))
	}
	if len(effects) == 0 {
		effects = []string{"none"}
	}
	add("effects", strings.Join(effects, ", "))
	add("rests on", r.Requires...)
	var needed []string
	for _, other := range suites.Rules() {
		if slices.Contains(other.Requires, r.ID) {
			needed = append(needed, other.ID)
		}
	}
	add("needed by", strings.Join(needed, ", "))
	var faults []string
	for _, f := range faultsByRule()[r.ID] {
		faults = append(faults, f.Name+": "+f.Text)
	}
	add("faults", faults...)
	return out
}

// wrap breaks text of our own at spaces into lines of at most width characters.
func wrap(text string, width int) (lines []string) {
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && len(line)+1+len(word) > width {
			lines, line = append(lines, line), ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}
