package haproxy

// variable reads $NAME or ${NAME}, ${NAME-default}, ${NAME[*]}, ${NAME[*]-default}; the last three exist from HAProxy 2.4
// on, and only between double quotes.
func (c *cutter) variable() {
	c.word.Vars = true
	start := c.at
	name, value, set, list, ok := c.reference()
	switch {
	case c.env == nil || !ok:
		c.text = append(c.text, c.src[start:c.at]...)
	case set:
		c.expand(value, list)
	case name[0] != '.' && c.peek(0) == '"':
		// An unset variable eats the closing quote behind it and the blanks behind that, so that "x${UNSET}" y is one
		// word, xy (seen on 2.6 and 3.2).
		c.quote = 0
		c.at++
		for c.at < c.end && blank(c.src[c.at]) {
			c.at++
		}
	}
}

// reference moves behind the variable and looks it up; ok is false where its spelling is wrong.
func (c *cutter) reference() (name, value string, set, list, ok bool) {
	start := c.at
	c.at++
	brace := c.peek(0) == '{'
	if brace {
		c.at++
	}
	from := c.at
	if b := c.peek(0); !nameByte(b) && b != '.' || '0' <= b && b <= '9' {
		c.fault(c.at, "forbidden first character in the name of an environment variable")
		return "", "", false, false, false
	}
	for c.at++; c.at < c.end && nameByte(c.src[c.at]); c.at++ {
	}
	name = string(c.src[from:c.at])
	if c.env != nil {
		value, set = c.env(name)
	}
	if !brace {
		return name, value, set, false, true
	}
	if c.peek(0) == '[' {
		if c.peek(1) != '*' || c.peek(2) != ']' {
			c.fault(c.at, "only [*] may follow the name of an environment variable")
			return "", "", false, false, false
		}
		list = true
		c.at += 3
	}
	if c.peek(0) == '-' {
		from := c.at + 1
		for c.at < c.end && c.src[c.at] != '}' && c.src[c.at] != 0 && c.src[c.at] != '\r' {
			c.at++
		}
		if !set {
			value, set = string(c.src[from:c.at]), true
		}
	}
	if c.peek(0) != '}' {
		c.fault(start+1, "unmatched brace in the name of an environment variable")
		return "", "", false, false, false
	}
	c.at++
	return name, value, set, list, true
}

func nameByte(b byte) bool {
	return b == '_' || 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || '0' <= b && b <= '9'
}

// expand appends the value; that of a list is cut into words at each run of blanks.
func (c *cutter) expand(value string, list bool) {
	for i := 0; i < len(value); i++ {
		if !list || !space(value[i]) {
			c.text = append(c.text, value[i])
			continue
		}
		start := c.word.Span.Start
		c.close()
		c.open, c.word, c.text = true, Word{Vars: true}, c.text[:0]
		c.word.Span.Start = start
		for i+1 < len(value) && space(value[i+1]) {
			i++
		}
	}
}

func space(b byte) bool { return blank(b) || b == '\n' || b == '\r' }
