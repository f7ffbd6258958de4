package suites

import (
	"encoding/base64"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strings"

	"grantcheck/suites/exchange"
)

// What rules of several groups need.

// pageSaysIf is PageSays where documented holds; elsewhere the page is taken to be silent again.
func (c *Case) pageSaysIf(documented bool, format string, args ...any) {
	c.PageSays("")
	if documented {
		c.PageSays(fmt.Sprintf(format, args...))
	}
}

// jwtOf reads a token as a signed JWT without checking it; ok is false for anything else.
func jwtOf(token string) (header, claims exchange.Value, ok bool) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return header, claims, false
	}
	object := func(segment string) (exchange.Value, bool) {
		raw, err := base64.RawURLEncoding.DecodeString(segment)
		if err != nil {
			return exchange.Value{}, false
		}
		d := exchange.ParseStrict(raw)
		return d.Value, d.IsObject()
	}
	header, okHeader := object(parts[0])
	claims, okClaims := object(parts[1])
	return header, claims, okHeader && okClaims && header.Get("alg").Present()
}

// strength estimates how many bits of a sample of values vary: the positions that differ, times
// log2 of the characters seen there. It can only refute: a sample says nothing for a generator.
// sequence says in words that the values count up, "" when they do not.
func strength(values []string) (bits float64, sequence string) {
	values = slices.Compact(slices.Sorted(slices.Values(values)))
	if len(values) < 2 {
		return 0, ""
	}
	shortest := len(values[0])
	for _, v := range values {
		shortest = min(shortest, len(v))
	}
	positions, alphabet := 0, map[byte]bool{}
	for i := range shortest {
		if slices.ContainsFunc(values, func(v string) bool { return v[i] != values[0][i] }) {
			positions++
			for _, v := range values {
				alphabet[v[i]] = true
			}
		}
	}
	if positions == 0 {
		return 0, "" // they differ in length alone
	}
	return float64(positions) * math.Log2(float64(len(alphabet))), counted(values)
}

// counted says that sorted values are numbers at equal distances, in decimal or hex, behind a
// common prefix.
func counted(values []string) string {
	if len(values) < 4 {
		return ""
	}
	prefix := len(values[0])
	for _, v := range values {
		n := 0
		for n < prefix && n < len(v) && v[n] == values[0][n] {
			n++
		}
		prefix = n
	}
	for _, base := range []int{10, 16} {
		numbers := make([]*big.Int, 0, len(values))
		for _, v := range values {
			n, ok := new(big.Int).SetString(v[prefix:], base)
			if !ok {
				break
			}
			numbers = append(numbers, n)
		}
		if len(numbers) < len(values) {
			continue
		}
		slices.SortFunc(numbers, (*big.Int).Cmp)
		step := new(big.Int).Sub(numbers[1], numbers[0])
		even := true
		for i := 2; i < len(numbers); i++ {
			even = even && new(big.Int).Sub(numbers[i], numbers[i-1]).Cmp(step) == 0
		}
		if even {
			return fmt.Sprintf("they count up in steps of %s", step)
		}
	}
	return ""
}
