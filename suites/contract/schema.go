package contract

import (
	"bytes"
	"encoding/json"
	"strings"
)

// Schema is the JSON Schema (draft 2020-12) of the format, for editors. It is
// made from the shapes that the loader checks with; what no single key shows,
// the loader alone says.
func Schema() []byte {
	s := schemaOf(contractShape)
	root := map[string]any{
		"$schema":     "https://json-schema.org/draft/2020-12/schema",
		"title":       "grantcheck contract",
		"description": "What a vendor documents about one OAuth 2.0 token endpoint.",
		"required":    []string{"contract", "name"},
	}
	for k, v := range s {
		root[k] = v
	}
	root["$defs"] = map[string]any{
		"condition": schemaObject(conditionShape), "field": schemaObject(fieldShape),
		"client": schemaObject(clientShape), "limit": schemaObject(rateLimitShape),
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(root); err != nil {
		panic(err) // plain maps and strings encode
	}
	return out.Bytes()
}

// Shapes that stand in several places are defined once.
var shared = map[*shape]string{conditionShape: "condition", fieldShape: "field", clientShape: "client", rateLimitShape: "limit"}

const (
	anyReference   = `\$\{[A-Za-z_][A-Za-z0-9_]*\}`
	wholeReference = `^` + anyReference + `$`
)

func schemaOf(s *shape) map[string]any {
	if name, ok := shared[s]; ok {
		return map[string]any{"$ref": "#/$defs/" + name}
	}
	return schemaObject(s)
}

func schemaObject(s *shape) map[string]any {
	switch {
	case s.any:
		return map[string]any{}
	case s.alts != nil:
		var alts []any
		for _, a := range s.alts {
			alts = append(alts, schemaOf(a))
		}
		return map[string]any{"anyOf": alts}
	}
	out := map[string]any{}
	switch s.kind {
	case mapping:
		out["type"] = "object"
		if s.elem != nil {
			out["additionalProperties"] = nullable(s.elem)
			break
		}
		props := map[string]any{}
		for _, k := range s.keys {
			p := nullable(k.is)
			if ref, ok := p["$ref"]; ok { // beside $ref a description is allowed from draft 2019-09 on
				p = map[string]any{"$ref": ref}
			}
			p["description"] = k.doc
			props[k.name] = p
		}
		out["properties"], out["additionalProperties"] = props, false
	case list:
		out["type"], out["items"] = "array", schemaOf(s.elem)
	case text:
		out["type"] = "string"
		switch {
		case s.refs == secret:
			out["pattern"] = wholeReference
		case s.word != nil:
			out["enum"] = s.word
		}
	case integer:
		out["type"] = "integer"
	case float:
		out["type"] = "number"
	case boolean:
		out["type"] = "boolean"
	case null:
		out["type"] = "null"
	}
	for k, v := range s.json {
		out[k] = v
	}
	return out
}

// nullable: under a key, null removes what is inherited.
func nullable(s *shape) map[string]any {
	out := schemaOf(s)
	if s.any || s.forKind(null) != nil {
		return copyMap(out)
	}
	if t, ok := out["type"].(string); ok && out["enum"] == nil && out["const"] == nil && !strings.Contains(t, "null") {
		out = copyMap(out)
		out["type"] = []string{t, "null"}
		return out
	}
	return map[string]any{"anyOf": []any{out, map[string]any{"type": "null"}}}
}

func copyMap(m map[string]any) map[string]any {
	out := make(map[string]any, len(m))
	for k, v := range m {
		out[k] = v
	}
	return out
}
