package report

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf16"
)

// WriteJSON saves a run. Lists are never null, so that a reader need not ask.
func WriteJSON(w io.Writer, r Run) error {
	r.Schema = Schema
	if r.Labels == nil {
		r.Labels = map[string]string{}
	}
	r.Checks = append([]Check{}, r.Checks...)
	for i := range r.Checks {
		c := &r.Checks[i]
		c.Exchanges = append([]int{}, c.Exchanges...)
		if c.Documented == "" {
			c.Documented = SideSilent
		}
		if c.Standard == "" {
			c.Standard = SideSilent
		}
	}
	r.Exchanges = append([]Exchange{}, r.Exchanges...)
	for i := range r.Exchanges {
		x := &r.Exchanges[i]
		x.Request.Headers = append(Headers{}, x.Request.Headers...)
		if x.Response != nil {
			answer := *x.Response
			answer.Headers = append(Headers{}, answer.Headers...)
			x.Response = &answer
		}
	}
	if r.Load != nil {
		l := *r.Load
		l.Thresholds = append([]ThresholdResult{}, l.Thresholds...)
		l.Series = append([]SeriesPoint{}, l.Series...)
		r.Load = &l
	}
	return writeJSON(w, r)
}

// writeJSON writes a value for people and programs alike: indented, < and > as they are, and what could
// steer a terminal or end a script element as escapes, which read back as the same text.
func writeJSON(w io.Writer, v any) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		return err
	}
	out := bufio.NewWriter(w)
	var before rune
	for _, c := range b.String() {
		switch { // beyond ASCII there is nothing outside of strings
		case before == '<' && c == '/':
			out.WriteString(`\/`)
		case before == '<' && c == '!':
			out.WriteString(`\u0021`)
		case c >= 0x7f && unsafe(c):
			for _, u := range utf16.Encode([]rune{c}) {
				fmt.Fprintf(out, `\u%04x`, u)
			}
		default:
			out.WriteRune(c)
		}
		before = c
	}
	return out.Flush()
}

// ReadJSON reads a saved run. name stands in errors: the file's name.
func ReadJSON(in io.Reader, name string) (*Run, error) {
	data, err := io.ReadAll(in)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	var head struct {
		Schema *string `json:"schema"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return nil, fmt.Errorf("%s is not a saved run: %w; save one with -o json=FILE", name, placed(err, data))
	}
	switch {
	case head.Schema == nil:
		return nil, fmt.Errorf("%s is JSON but not a saved run: it has no \"schema\"; save one with -o json=FILE", name)
	case *head.Schema != Schema:
		return nil, fmt.Errorf("%s has schema %q, this grantcheck reads %q; render it with the version that wrote it",
			name, *head.Schema, Schema)
	}
	r := new(Run)
	if err := json.Unmarshal(data, r); err != nil {
		return nil, fmt.Errorf("%s: %w", name, placed(err, data))
	}
	for _, c := range r.Checks {
		for _, i := range c.Exchanges {
			if i < 0 || i >= len(r.Exchanges) {
				return nil, fmt.Errorf("%s: check %s speaks of exchange %d of %d; the file was cut or edited",
					name, c.Rule, i, len(r.Exchanges))
			}
		}
	}
	return r, nil
}

// placed adds the line to an error of encoding/json.
func placed(err error, data []byte) error {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	var at int64
	switch {
	case errors.As(err, &syntax):
		at = syntax.Offset
	case errors.As(err, &kind):
		at = kind.Offset
	default:
		return err
	}
	at = min(at, int64(len(data)))
	return fmt.Errorf("line %d: %w", 1+strings.Count(string(data[:at]), "\n"), err)
}
