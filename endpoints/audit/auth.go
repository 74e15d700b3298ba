package audit

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

const (
	cookieName = "amp_audit"
	// session is how long a login lasts: a working day.
	session = 12 * time.Hour
	// maxToken bounds a token file. The longest tokens in use, ServiceAccounts', take about 1 KiB.
	maxToken = 16 << 10
)

// readToken returns the token in file, "" if none is needed. An empty file is an error: the operator who named
// it wants a token to be needed.
func readToken(file string) (string, error) {
	if file == "" {
		return "", nil
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	token := strings.TrimSpace(string(b))
	switch {
	case token == "":
		return "", errors.New("the file is empty: put a token in it, or unset the variable")
	case len(token) > maxToken:
		return "", errors.New("the file is larger than 16 KiB, which is too large for a token")
	}
	return token, nil
}

// mayRead allows a request that carries the token, or the cookie of a browser that logged in.
func (s *Server) mayRead(r *http.Request) error {
	token, err := readToken(s.config.ReadTokenFile)
	if err != nil {
		return err
	}
	if token == "" || bears(r, token) {
		return nil
	}
	if c, err := r.Cookie(cookieName); err == nil && s.validSession(c.Value, token) {
		return nil
	}
	return &badRequest{http.StatusUnauthorized, "reading needs a token: send the header Authorization: Bearer <token>, or log in on the page"}
}

func bears(r *http.Request, token string) bool {
	return sameSecret(bearer(r), token)
}

// bearer returns the token that a request carries, "" if it carries none.
func bearer(r *http.Request) string {
	scheme, sent, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(sent)
}

// sameSecret compares digests, which have one length, in constant time.
func sameSecret(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

// login takes the token from the page's form and sets a cookie: EventSource can send no header of its own.
// The cookie is signed with the token instead of holding it. So it does not reveal the token, and is not valid
// after the token was replaced.
func (s *Server) login(w http.ResponseWriter, r *http.Request) error {
	if err := sameOrigin(r); err != nil {
		return err
	}
	token, err := readToken(s.config.ReadTokenFile)
	if err != nil {
		return err
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxToken+1024)
	if token != "" && !sameSecret(strings.TrimSpace(r.PostFormValue("token")), token) {
		return &badRequest{http.StatusUnauthorized, "that is not the token"}
	}
	expires := strconv.FormatInt(s.now().Add(session).Unix(), 10)
	s.setCookie(w, r, expires+"."+sign(expires, token), int(session.Seconds()))
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *Server) logout(w http.ResponseWriter, r *http.Request) error {
	if err := sameOrigin(r); err != nil {
		return err
	}
	s.setCookie(w, r, "", -1)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// setCookie sets no path: by default a cookie is for the folder of the login's address, which is where the
// function is mounted.
func (s *Server) setCookie(w http.ResponseWriter, r *http.Request, value string, maxAge int) {
	http.SetCookie(w, &http.Cookie{
		Name: cookieName, Value: value, MaxAge: maxAge, HttpOnly: true, SameSite: http.SameSiteStrictMode,
		// Behind an ingress only this header says so. Without TLS a browser would not keep a Secure cookie.
		Secure: r.TLS != nil || strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https"),
	})
}

func (s *Server) validSession(value, token string) bool {
	expires, signature, _ := strings.Cut(value, ".")
	at, err := strconv.ParseInt(expires, 10, 64)
	return err == nil && sameSecret(signature, sign(expires, token)) && s.now().Unix() < at
}

func sign(expires, token string) string {
	mac := hmac.New(sha256.New, []byte(token))
	mac.Write([]byte("amp audit session until " + expires))
	return hex.EncodeToString(mac.Sum(nil))
}

func sameOrigin(r *http.Request) error {
	if err := http.NewCrossOriginProtection().Check(r); err != nil {
		return &badRequest{http.StatusForbidden, "that form is of another site"}
	}
	return nil
}
