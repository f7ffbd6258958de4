package load

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"grantcheck/suites/contract"
)

// DialectOf reads from a contract how a grant's answers are worded.
func DialectOf(c *contract.Contract, g *contract.Grant) *Dialect {
	d := &Dialect{}
	if c == nil {
		return d
	}
	part := func(fields []contract.Field, name string) string {
		for _, f := range fields {
			last := f.Name
			if len(f.Path) > 0 {
				last = f.Path[len(f.Path)-1]
			}
			if f.As == name || f.As == "" && last == name {
				return strings.Join(f.Path, ".")
			}
		}
		return ""
	}
	key := ""
	if g != nil {
		key = g.Key
		d.AccessToken, d.ExpiresIn = part(g.Response.Fields, "access_token"), part(g.Response.Fields, "expires_in")
	}
	d.Error = part(c.ErrorFields, "error")
	for _, row := range c.Errors {
		if d.Error == "" {
			d.Error = part(row.Fields, "error")
		}
		if !slices.Contains(row.When, "rate_limited") || len(row.Grants) > 0 && !slices.Contains(row.Grants, key) {
			continue
		}
		statuses := row.Status
		if len(statuses) == 0 {
			statuses = []string{"0"}
		}
		for _, s := range statuses {
			n, err := strconv.Atoi(s)
			if err != nil {
				continue // a class says nothing of throttling by itself
			}
			for _, code := range row.Code {
				d.Throttle = append(d.Throttle, ThrottleAnswer{n, fmt.Sprint(code)})
			}
			if len(row.Code) == 0 && n != 400 && n != 401 && n >= 400 {
				d.Throttle = append(d.Throttle, ThrottleAnswer{Status: n})
			}
		}
	}
	for _, l := range c.RateLimits {
		if len(l.Grants) > 0 && !slices.Contains(l.Grants, key) {
			continue
		}
		switch {
		case l.Code != nil:
			d.Throttle = append(d.Throttle, ThrottleAnswer{l.Status, fmt.Sprint(l.Code)})
		case l.Status >= 400 && l.Status != 400 && l.Status != 401:
			d.Throttle = append(d.Throttle, ThrottleAnswer{Status: l.Status})
		}
		if h := l.RetryHint; h != nil && h.In != "body" && h.Name != "" {
			d.RetryHint = h.Name
			d.RetryUnit = map[string]time.Duration{"milliseconds": time.Millisecond, "minutes": time.Minute}[cmp.Or(h.Unit, "seconds")]
		}
	}
	return d
}
