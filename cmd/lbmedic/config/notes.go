package config

import "fmt"

// Notes are what is no mistake and may still not do what its writer expects, one line each.
func (c *Config) Notes() (notes []string) {
	for _, b := range c.Balancers {
		if b.Nginx == nil {
			continue
		}
		at := "balancers." + b.Name + " (nginx): "
		if b.Sidecar != "" || b.Policy.Mode == ModeEnforce {
			notes = append(notes, at+"orders only; automation never acts there, and no sidecar of its servers is asked")
		}
		if !b.Nginx.Edit {
			notes = append(notes, at+"orders are refused until nginx.edit is true, which allows edits of "+b.Nginx.Config)
		}
	}
	if c.Consul != nil {
		notes = append(notes, fmt.Sprintf("consul: %s", schema.lookup("", "consul").note))
	}
	return notes
}
