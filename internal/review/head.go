package review

import "errors"

// ReadHead reads the first bytes of a body as [Read] reads all of it. What those bytes hold only in part is as if it were
// absent: the Pod always, and whatever comes after it. An API server writes what amp must know to decide about a review
// before the Pod: the review's uid, its namespace, the operation, and who asks for it.
//
// Its error is that of Read, or says that the bytes do not hold the review's uid.
func ReadHead(first []byte, phase Phase) (*Review, error) {
	r, known, err := read(whole(first), phase)
	if err != nil {
		return nil, err
	}
	if r.UID == "" {
		return nil, errNoUID
	}
	head := Review{UID: r.UID, Phase: phase, Namespace: r.Namespace, Name: r.Name, GenerateName: r.GenerateName, User: r.User, FromNode: r.FromNode}
	if known { // otherwise, what is missing may come later
		head.Unhandled = r.Unhandled
	}
	return &head, nil
}

var errNoUID = errors.New("expected an AdmissionReview whose request begins with its uid, as an API server writes it")

// whole makes a JSON text of the beginning of one: it leaves out what is not complete, and closes what is open. If head is
// not the beginning of a JSON text, neither is the result one.
func whole(head []byte) []byte {
	var open []byte // the ends of what is open
	end, depth := 0, 0
	complete := func(i int) { end, depth = i, len(open) }
	key := false // the next string is the name of a member
	for i := 0; i < len(head); {
		switch c := head[i]; c {
		case '{', '[':
			open = append(open, c+2) // } and ] come two after { and [
			i++
			complete(i)
			key = c == '{'
		case '}', ']':
			if len(open) == 0 || open[len(open)-1] != c {
				return nil
			}
			open = open[:len(open)-1]
			i++
			complete(i)
		case ',':
			key = len(open) > 0 && open[len(open)-1] == '}'
			i++
		case ':', ' ', '\t', '\r', '\n':
			i++
		case '"':
			next := stringEnd(head, i)
			if next < 0 {
				i = len(head)
				break
			}
			if i = next; !key {
				complete(i)
			}
			key = false
		default: // a number, true, false or null: it is complete if something follows
			for i < len(head) && !delimits(head[i]) {
				i++
			}
			if i < len(head) {
				complete(i)
			}
		}
	}
	text := append(make([]byte, 0, end+depth), head[:end]...)
	for depth--; depth >= 0; depth-- {
		text = append(text, open[depth])
	}
	return text
}

// stringEnd returns the index of the first byte after the JSON string that begins at i, -1 if the string does not end.
func stringEnd(text []byte, i int) int {
	for i++; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return -1
}

func delimits(c byte) bool {
	switch c {
	case ',', ':', '{', '}', '[', ']', '"', ' ', '\t', '\r', '\n':
		return true
	}
	return false
}
