package contract

import (
	"fmt"
	"math"
	"mime"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// shape says what may stand at one place of a contract. The shapes of
// format.go are the format: the loader checks with them, the JSON Schema is
// made from them, and FORMAT.md is held against them.
type shape struct {
	what string // as an error names it: "a duration such as 300ms or 2m"
	kind kind
	keys []key // of a map with known keys
	elem *shape
	alts []*shape // any one of these
	word []string // text that is one of these
	test func(n *node) string
	refs references
	json map[string]any // JSON Schema of a scalar beyond its type
	any  bool
	show bool // what references stand for is no credential: never masked
	null bool // null is a value here, not the removal of an inherited key
}

type references int

const (
	verbatim references = iota // "${" means itself
	allowed                    // may hold ${NAME}
	secret                     // is one ${NAME}, whole
)

// key is one known key of a map.
type key struct {
	name string
	is   *shape
	doc  string
	alts []string // other words people use for it, for suggestions
}

func object(what string, keys ...key) *shape { return &shape{what: what, kind: mapping, keys: keys} }

func dict(what string, elem *shape) *shape { return &shape{what: what, kind: mapping, elem: elem} }

func listOf(elem *shape) *shape {
	return &shape{what: "a list of " + plural(elem.what), kind: list, elem: elem}
}
func oneOf(what string, alts ...*shape) *shape { return &shape{what: what, alts: alts} }
func oneOrMore(s *shape) *shape                { return oneOf(s.what+" or a list", s, listOf(s)) }
func words(w ...string) *shape {
	return &shape{what: "one of " + strings.Join(w, ", "), kind: text, word: w}
}

// named is words with a name of its own for errors.
func named(what string, w ...string) *shape { return &shape{what: what, kind: text, word: w} }

func plural(s string) string {
	s = strings.TrimPrefix(strings.TrimPrefix(s, "an "), "a ")
	if strings.HasPrefix(s, "one of") || strings.HasPrefix(s, "text") {
		return s
	}
	return s + "s"
}

func (s *shape) key(name string) (key, bool) {
	if s == nil {
		return key{}, false
	}
	for _, k := range s.keys {
		if k.name == name {
			return k, true
		}
	}
	return key{}, false
}

// forKind is the alternative that fits a node of that kind; nil if none does.
func (s *shape) forKind(k kind) *shape {
	if s == nil {
		return nil
	}
	if s.alts == nil {
		if s.kind == k || s.any {
			return s
		}
		return nil
	}
	for _, a := range s.alts {
		if f := a.forKind(k); f != nil {
			return f
		}
	}
	return nil
}

var (
	prose   = &shape{what: "text", kind: text}                              // documentation, never resolved
	str     = &shape{what: "text", kind: text, refs: allowed}               // may hold references
	public  = &shape{what: "text", kind: text, refs: allowed, show: true}   // no credential
	cred    = &shape{what: "a ${NAME} reference", kind: text, refs: secret} // literal is an error
	address = &shape{what: "an address", kind: text, refs: allowed, show: true}
	yesNo   = &shape{what: "true or false", kind: boolean} //
	count   = &shape{what: "a whole number", kind: integer, test: notNegative, json: map[string]any{"minimum": 0}}
	number  = oneOf("a number", &shape{what: "a number", kind: integer}, &shape{what: "a number", kind: float})
	free    = &shape{what: "any value", any: true, refs: allowed}
	freeDoc = &shape{what: "any value", any: true}

	duration = &shape{what: "a duration such as 300ms, 5s, 2m, 8h or 30d", kind: text, test: func(n *node) string {
		_, err := parseDuration(n.text)
		return errText(err)
	}, json: map[string]any{"pattern": `^[0-9]+(\.[0-9]+)?(ms|s|m|h|d)$`}}
	seconds = oneOf("seconds or a duration such as 8h", count, duration)
	rate    = &shape{what: "a rate such as 20/s", kind: text, test: func(n *node) string {
		_, err := parseRate(n.text)
		return errText(err)
	}, json: map[string]any{"pattern": `^[0-9]+(\.[0-9]+)?/(s|m|h)$`}}
	share = &shape{what: "a share such as 99.9%", kind: text, test: func(n *node) string {
		_, err := parseShare(n.text)
		return errText(err)
	}, json: map[string]any{"pattern": `^[0-9]+(\.[0-9]+)?%$`}}
	date = &shape{what: "a date such as 2027-03-31", kind: text, test: func(n *node) string {
		if _, err := time.Parse(time.DateOnly, n.text); err != nil {
			return "expected a date such as 2027-03-31"
		}
		return ""
	}, json: map[string]any{"pattern": `^[0-9]{4}-[0-9]{2}-[0-9]{2}$`}}
	status = oneOf("a status such as 400 or a class such as 4xx",
		&shape{what: "a status", kind: integer, test: func(n *node) string {
			if i, ok := n.number.(int64); !ok || i < 200 || i > 599 {
				return "an answer has a status from 200 to 599"
			}
			return ""
		}, json: map[string]any{"minimum": 200, "maximum": 599}},
		&shape{what: "a class", kind: text, test: func(n *node) string {
			if !statusClass.MatchString(n.text) {
				return "expected a status such as 400 or a class such as 4xx"
			}
			return ""
		}, json: map[string]any{"pattern": statusClass.String()}})
	errorCode = oneOf("text or a number", &shape{what: "text", kind: text}, &shape{what: "a number", kind: integer})
	pattern   = &shape{what: "jwt, uri, uuid, integer or a pattern", kind: text, test: func(n *node) string {
		switch n.text {
		case "jwt", "uri", "uuid", "integer":
			return ""
		}
		if _, err := CompilePattern(n.text); err != nil {
			return "not a pattern (RE2 syntax): " + strings.TrimPrefix(err.Error(), "error parsing regexp: ")
		}
		if word.MatchString(n.text) {
			return "expected jwt, uri, uuid, integer or a pattern (one that is a plain word is written ^" + n.text + "$)" +
				didYouMean(n.text, []string{"jwt", "uri", "uuid", "integer"})
		}
		return ""
	}}
	mediaType = &shape{what: "a media type", kind: text, test: func(n *node) string {
		if m, _, err := mime.ParseMediaType(n.text); err != nil || !strings.Contains(m, "/") {
			return "expected a media type such as application/json"
		}
		return ""
	}, json: map[string]any{"pattern": "^[^/ ]+/[^/ ]+"}}
	requestType = &shape{what: "a media type", kind: text, test: func(n *node) string {
		m, _, err := mime.ParseMediaType(n.text)
		for _, ok := range requestTypes {
			if err == nil && m == ok {
				return ""
			}
		}
		return "a request is " + strings.Join(requestTypes, ", ") + didYouMean(n.text, requestTypes)
	}, json: map[string]any{"pattern": "^(application/x-www-form-urlencoded|application/json|multipart/form-data)"}}
)

var (
	statusClass  = regexp.MustCompile(`^[2-5]xx$|^[2-5][0-9][0-9]$`)
	word         = regexp.MustCompile(`^[A-Za-z_]+$`)
	requestTypes = []string{"application/x-www-form-urlencoded", "application/json", "multipart/form-data"}
)

func notNegative(n *node) string {
	if i, ok := n.number.(int64); !ok || i < 0 {
		return "expected a whole number, 0 or more"
	}
	return ""
}

func errText(err error) string {
	if err != nil {
		return err.Error()
	}
	return ""
}

func parseDuration(s string) (time.Duration, error) {
	bad := fmt.Errorf("expected a duration such as 300ms, 5s, 2m, 8h or 30d")
	for _, u := range []struct {
		suffix string
		unit   time.Duration
	}{{"ms", time.Millisecond}, {"s", time.Second}, {"m", time.Minute}, {"h", time.Hour}, {"d", 24 * time.Hour}} {
		if digits, ok := strings.CutSuffix(s, u.suffix); ok && plainNumber.MatchString(digits) {
			f, err := strconv.ParseFloat(digits, 64)
			if err != nil || f*float64(u.unit) > float64(math.MaxInt64)/2 {
				return 0, bad
			}
			return time.Duration(math.Round(f * float64(u.unit))), nil
		}
	}
	return 0, bad
}

var plainNumber = regexp.MustCompile(`^[0-9]{1,12}(\.[0-9]{1,9})?$`)

// parseRate reads "20/s" as requests per second.
func parseRate(s string) (float64, error) {
	digits, unit, _ := strings.Cut(s, "/")
	per := map[string]float64{"s": 1, "m": 60, "h": 3600}[unit]
	if per == 0 || !plainNumber.MatchString(digits) {
		return 0, fmt.Errorf("expected a rate such as 20/s")
	}
	f, err := strconv.ParseFloat(digits, 64)
	return f / per, err
}

// parseShare reads "99.9%" as 0.999.
func parseShare(s string) (float64, error) {
	digits, ok := strings.CutSuffix(s, "%")
	f, err := strconv.ParseFloat(digits, 64)
	if !ok || !plainNumber.MatchString(digits) || err != nil || f > 100 {
		return 0, fmt.Errorf("expected a share such as 99.9%%")
	}
	return f / 100, nil
}
