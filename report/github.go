package report

import (
	"fmt"
	"io"
	"strings"
)

// A job shows ten annotations of a kind; one is kept for what sums up.
const mostAnnotations = 9

// WriteGitHub renders a run as workflow annotations. When the exit code is not 0 the last line is its reason.
func WriteGitHub(w io.Writer, r Run) error {
	var b strings.Builder
	for _, of := range []struct {
		verdict Verdict
		level   string
	}{{Note, "notice"}, {Warn, "warning"}, {Fail, "error"}} {
		list := r.found(of.verdict)
		for i, c := range list {
			if i == mostAnnotations {
				if of.verdict != Fail { // the reason for the exit code counts the failures
					annotation(&b, of.level, "grantcheck", fmt.Sprintf("and %d more of verdict %s", len(list)-i, of.verdict))
				}
				break
			}
			text := oneLine(c)
			if clause := clauseLine(c); clause != "" {
				text += " – " + clause
			}
			if c.Why != "" && of.verdict == Fail {
				text += "\n" + clean(c.Why)
			}
			annotation(&b, of.level, r.qualified(c.Contract, c.Rule), text)
		}
	}
	if r.ExitCode == ExitOK {
		annotation(&b, "notice", "grantcheck", LastLine(&r))
	} else {
		reason := r.ExitReason
		if reason == "" {
			reason = LastLine(&r)
		}
		annotation(&b, "error", fmt.Sprintf("grantcheck exit %d", r.ExitCode), reason)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// AnnotateExit writes the reason for an exit code as an annotation, for commands that made no run.
func AnnotateExit(w io.Writer, code int, reason string) error {
	var b strings.Builder
	annotation(&b, "error", fmt.Sprintf("grantcheck exit %d", code), reason)
	_, err := io.WriteString(w, b.String())
	return err
}

var (
	annotationText  = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	annotationTitle = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
)

func annotation(b *strings.Builder, level, title, text string) {
	fmt.Fprintf(b, "::%s title=%s::%s\n", level, annotationTitle.Replace(clean(title)), annotationText.Replace(cleanText(text)))
}
