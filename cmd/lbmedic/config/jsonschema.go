package config

import "encoding/json"

// Schema is the JSON Schema (2020-12) of the configuration, for editors.
func Schema() []byte {
	doc := schemaOf(schema)
	doc["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	doc["title"] = "lbmedic.yaml"
	doc["$defs"] = map[string]any{"reference": map[string]any{
		"description": "a reference: ${env:NAME}, ${env:NAME:-default}, ${file:/path} or ${cred:NAME}",
		"type":        "string",
		"pattern":     `\$\{`,
	}}
	out, err := json.MarshalIndent(doc, "", "  ")
	if err != nil { // the table holds nothing that JSON lacks
		panic(err)
	}
	return append(out, '\n')
}

func schemaOf(s *spec) map[string]any {
	out := map[string]any{}
	switch {
	case s.scalar != nil:
		out["anyOf"] = []any{s.scalar.json, map[string]any{"$ref": "#/$defs/reference"}}
		if len(s.def) == 1 {
			out["default"] = defaultValue(s.scalar, s.def[0])
		}
	case s.list != nil:
		item := schemaOf(s.list)
		many := map[string]any{"type": "array", "items": item}
		if s.required {
			many["minItems"] = 1
		}
		out["anyOf"] = []any{item, many}
		if s.def != nil {
			out["default"] = s.def
		}
	case s.each != nil:
		out["type"] = "object"
		out["propertyNames"] = map[string]any{"pattern": nameGrammar.String()}
		out["additionalProperties"] = schemaOf(s.each)
		if s.required {
			out["minProperties"] = 1
		} else {
			out["type"] = []string{"object", "null"}
		}
	default:
		sectionSchema(s, out)
	}
	if s.doc != "" {
		out["description"] = s.sentence()
	}
	return out
}

func sectionSchema(s *spec, out map[string]any) {
	properties, required := map[string]any{}, []string{}
	for i := range s.fields {
		f := &s.fields[i]
		properties[f.key] = schemaOf(&f.spec)
		if f.required {
			required = append(required, f.key)
		}
	}
	out["type"] = "object"
	out["properties"] = properties
	out["additionalProperties"] = false
	if len(required) > 0 {
		out["required"] = required
	} else if s.oneOf == nil {
		out["type"] = []string{"object", "null"}
	}
	var kinds []any
	for _, kind := range s.oneOf {
		one := map[string]any{"required": []string{kind}}
		if s.variants != nil {
			own := map[string]any{}
			for _, f := range s.variants[kind] {
				own[f.key] = schemaOf(&f.spec)
			}
			one["properties"] = own
		}
		kinds = append(kinds, one)
	}
	switch {
	case s.variants != nil: // a key of one kind may have the name of another, and what a branch describes is not additional
		out["anyOf"] = kinds
		delete(out, "additionalProperties")
		out["unevaluatedProperties"] = false
	case kinds != nil:
		out["oneOf"] = kinds
	}
}

// defaultValue is a default as JSON has it.
func defaultValue(s *scalar, text string) any {
	if s.bare {
		return json.RawMessage(text)
	}
	return text
}
