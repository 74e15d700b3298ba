package jsontree

import (
	"encoding/json"
	"strings"
	"unicode/utf8"
)

// The functions here read text that is known to be valid JSON. On any other text they return wrong results,
// but they always end.

// next returns the first place at or after i that holds neither white space nor a comma or colon.
func next(s string, i int) int {
	for i < len(s) && (s[i] <= ' ' || s[i] == ',' || s[i] == ':') {
		i++
	}
	return i
}

// skip returns the place after the value that begins at i.
func skip(s string, i int) int {
	switch s[i] {
	case '"':
		return skipString(s, i)
	case '{', '[':
		open := 0
		for i < len(s) {
			switch s[i] {
			case '"':
				i = skipString(s, i)
				continue
			case '{', '[':
				open++
			case '}', ']':
				if open--; open == 0 {
					return i + 1
				}
			}
			i++
		}
		return i
	}
	for i++; i < len(s) && s[i] > ' ' && s[i] != ',' && s[i] != '}' && s[i] != ']'; i++ {
	}
	return i
}

// skipString returns the place after the string whose opening quote is at i.
func skipString(s string, i int) int {
	for {
		at := strings.IndexByte(s[i+1:], '"')
		if at < 0 {
			return len(s)
		}
		i += 1 + at
		// A quote after an odd number of backslashes belongs to the string. The opening quote ends the count.
		first := i
		for s[first-1] == '\\' {
			first--
		}
		if (i-first)%2 == 0 {
			return i + 1
		}
	}
}

// depth returns how deep the value s nests.
func depth(s string) int {
	open, deepest := 0, 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '"':
			i = skipString(s, i) - 1
		case '{', '[':
			open++
			deepest = max(deepest, open)
		case '}', ']':
			open--
		}
	}
	return deepest
}

// Values returns how many values a JSON text may hold, at most twice as many as it does.
func Values(s string) int {
	values := 1
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '"':
			i = skipString(s, i) - 1
		case ',', '{', '[':
			values++
		}
	}
	return values
}

// children returns how many members or elements the value s has, and one for none.
func children(s string) int {
	level, commas := 0, 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '"':
			i = skipString(s, i) - 1
		case '{', '[':
			level++
		case '}', ']':
			level--
		case ',':
			if level == 1 {
				commas++
			}
		}
	}
	return commas + 1
}

// Weight returns the sum of the bytes of s, each of which counts once for every level that it is in; s itself is in as many
// levels as given.
func Weight(s string, levels int) (weight int) {
	for i := 0; i < len(s); i++ {
		start := i
		switch s[i] {
		case '"':
			i = skipString(s, i) - 1
		case '{', '[':
			levels++
		case '}', ']':
			levels--
		}
		weight += (i + 1 - start) * levels
	}
	return weight
}

// unquote returns the string that the JSON string s stands for, as encoding/json reads it: bytes that are not
// UTF-8 and halves of surrogate pairs become U+FFFD.
func unquote(s string) string {
	if plain(s) && len(s) >= 2 {
		return s[1 : len(s)-1]
	}
	var text string
	if json.Unmarshal([]byte(s), &text) != nil {
		return s
	}
	return text
}

// Quote returns the JSON string for text.
func Quote(text string) string {
	if !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' || strings.ContainsRune(`"\<>&`, r) }) {
		return `"` + text + `"`
	}
	b, err := json.Marshal(text)
	if err != nil {
		panic("encoding a string: " + err.Error()) // it cannot fail
	}
	return string(b)
}

// plain reports whether a JSON string stands for just what is between its quotes.
func plain(s string) bool {
	for i := range len(s) {
		if s[i] == '\\' {
			return false
		}
		if s[i] >= utf8.RuneSelf {
			return strings.IndexByte(s, '\\') < 0 && utf8.ValidString(s)
		}
	}
	return true
}
